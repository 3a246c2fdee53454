"""What is said when a candidate gets other rows than stable. Pure.

Requests are assigned at random, so the rows of both are alike whatever the candidate is. Rows that differ by the limits
of the alert `FairleadCandidateInputsDiffer` (`contracts.drift_limits`) are a fault on the way to the versions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from fairlead.contracts import drift_limits as limits
from fairlead.contracts.profile import ANSWERS
from fairlead.profile.counted import Binned, Counted
from fairlead.profile.statistics import psi, psi_critical
from fairlead.views.amounts import score
from fairlead.views.drift_bins import bins, percent

CAUSES = (
    "the split is random, so this is a fault of routing and no drift: look at the sticky header and at a few users who "
    "send most requests, at a cache in front of the gateway, at clients that name a version, and at whether both "
    "versions read a request alike"
)


@dataclass(frozen=True, slots=True)
class _Unlike:
    """A feature, all rows or a slice, with the candidate's rows as live and stable's as the reference."""

    both: Binned
    distance: float
    chance: float


def unlike_inputs(stable: str, candidate: str, of_stable: Counted, of_candidate: Counted) -> str | None:
    """A sentence about the input that differs most; empty if chance explains all, or if it does not matter.

    Both were counted in the same time. None if nothing can be compared: no profile, other bins, or too few rows.
    """
    if not of_stable.edges or of_stable.edges != of_candidate.edges:
        return None
    compared = sorted(_compared(of_stable, of_candidate), key=lambda one: -one.distance / one.chance)
    if not compared:
        return None
    found = [
        one
        for one in compared
        if one.distance > limits.INPUT_FLOOR and one.distance > limits.TIMES_CRITICAL * one.chance
    ]
    if not found:
        return ""
    most = found[0]
    others = len({one.both.feature for one in found} - {most.both.feature})
    more = f", and so do {others} more inputs" if others > 1 else ", and so does one more input" if others else ""
    of_slice = f" of slice {most.both.slice}" if most.both.slice else ""
    where = max(bins(most.both), key=lambda one: abs(one.live - one.reference))
    much = f"PSI {score(most.distance)}, chance explains {score(most.chance)}"
    told = f"{where.name}: {percent(where.reference)} at {stable}, {percent(where.live)} at {candidate}"
    what = f"{most.both.feature}{of_slice} differs{more} ({much}; {told})"
    return f"{candidate} gets other rows than {stable}: {what}; {CAUSES}"


def _compared(of_stable: Counted, of_candidate: Counted) -> Iterator[_Unlike]:
    """The inputs of which both have enough independent rows."""
    others = {(one.feature, one.slice): one for one in of_stable.features}
    for mine in of_candidate.features:
        other = others.get((mine.feature, mine.slice))
        if mine.feature in ANSWERS or other is None or other.bins != mine.bins:
            continue
        rows, other_rows = _independent(mine, of_candidate), _independent(other, of_stable)
        if min(rows, other_rows) > limits.LEAST_ROWS:
            both = replace(mine, reference=other.live)
            yield _Unlike(both, psi(mine.live, other.live), psi_critical(mine.critical, rows, other_rows))


def _independent(one: Binned, counted: Counted) -> int:
    return min(int(one.live.sum()), counted.requests.get(one.slice, 0))
