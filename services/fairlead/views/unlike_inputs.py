"""What is said when a candidate gets other rows than stable. Pure.

Requests are assigned at random, so the rows of both are alike whatever the candidate is. Rows that differ by the limits
of the alerts of drift (`contracts.drift_limits`) are a fault on the way to the versions. Where a header is sticky it is
users who are assigned, and how many there are is not known: then the limits are those of few. The alert
`FairleadCandidateInputsDiffer` reads the condition that is made here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from fairlead.contracts import drift_limits as limits
from fairlead.contracts.profile import ANSWERS
from fairlead.contracts.status import Condition, Reason
from fairlead.contracts.table import Table
from fairlead.profile.counted import Binned, Counted
from fairlead.profile.statistics import psi, psi_critical
from fairlead.views.amounts import score
from fairlead.views.drift_bins import bins, percent

STICKY_USERS = 20
"""Behind a sticky header, the version with fewer rows is judged as if it had so many users, and no more."""


@dataclass(frozen=True, slots=True)
class _Unlike:
    """A feature, with the candidate's rows as live and stable's as the reference."""

    both: Binned
    distance: float
    chance: float
    few_users: float
    """What chance explains if `STICKY_USERS` send all rows."""


def not_compared(why: str = "") -> Condition:
    """The condition where nothing is known, and why."""
    return Condition(type="InputsDiffer", status=False, reason=Reason.NOT_COMPARED, message=why)


def unlike_inputs(table: Table, of_stable: Counted, of_candidate: Counted) -> Condition:
    """Whether the inputs differ, and a sentence about the one that differs most. Both were counted in the same time.

    Nothing is compared without a profile, with other bins, with too few rows, or if few users explain what differs.
    """
    stable, candidate = str(table.stable), str(table.candidate)
    for version, counted in ((stable, of_stable), (candidate, of_candidate)):
        if not counted.edges:
            return not_compared(f"{version} has no profile, so its rows are not counted")
    if of_stable.edges != of_candidate.edges:
        build = "build its profile with `fairlead profile build --edges-from`"
        return not_compared(f"{candidate} counts in other bins than {stable}: {build}")
    compared = list(_compared(of_stable, of_candidate))
    if not compared:
        rows = f"more than {limits.LEAST_ROWS} independent rows of each version"
        return not_compared(f"{rows} with the present weight are needed, of an input that both count")
    found = [one for one in compared if one.distance > _limit(one.chance)]
    if not found:
        return Condition(type="InputsDiffer", status=False, reason=Reason.INPUTS_ALIKE)
    if table.sticky is not None:
        sure = [one for one in found if one.distance > _limit(one.few_users)]
        if not sure:
            most = max(found, key=lambda one: one.distance / one.chance)
            few = f"{STICKY_USERS} users with all requests, who keep their version by {table.sticky}, explain it too"
            return not_compared(f"{_differs(most, found, stable, candidate)}; {few}")
        found = sure
    most = max(found, key=lambda one: one.distance / one.chance)
    what = f"{candidate} gets other rows than {stable}: {_differs(most, found, stable, candidate)}"
    return Condition(
        type="InputsDiffer", status=True, reason=Reason.INPUTS_DIFFER, message=f"{what}; {_causes(table, candidate)}"
    )


def _causes(table: Table, candidate: str) -> str:
    users = f"or {candidate} has very few users (requests are no users), " if table.sticky is not None else ""
    return (
        f"requests are assigned at random, so this is a fault in between, {users}or {candidate} reads requests in "
        "another way or does not answer some rows: see its errors and rejections. "
        f"`fairlead pause {table.model}`, then look at the sticky header, caches in front of the gateway, and clients "
        "that name a version"
    )


def _differs(most: _Unlike, found: list[_Unlike], stable: str, candidate: str) -> str:
    others = len(found) - 1
    more = f", and so do {others} more inputs" if others > 1 else ", and so does one more input" if others else ""
    where = max(bins(most.both), key=lambda one: abs(one.live - one.reference))
    much = f"PSI {score(most.distance)}, chance explains {score(most.chance)}"
    told = f"{where.name}: {percent(where.reference)} at {stable}, {percent(where.live)} at {candidate}"
    return f"{most.both.feature} differs{more} ({much}; {told})"


def _limit(chance: float) -> float:
    return max(limits.INPUT_FLOOR, limits.TIMES_CRITICAL * chance)


def _compared(of_stable: Counted, of_candidate: Counted) -> Iterator[_Unlike]:
    """The inputs, of all rows, of which both have enough independent rows."""
    others = {one.feature: one for one in of_stable.features if not one.slice}
    for mine in of_candidate.features:
        other = others.get(mine.feature)
        if mine.slice or mine.feature in ANSWERS or other is None or other.bins != mine.bins:
            continue
        rows, other_rows = _independent(mine, of_candidate), _independent(other, of_stable)
        if (fewer := min(rows, other_rows)) > limits.LEAST_ROWS:
            chance = psi_critical(mine.critical, rows, other_rows)
            both = replace(mine, reference=other.live)
            yield _Unlike(both, psi(mine.live, other.live), chance, chance * fewer / STICKY_USERS)


def _independent(one: Binned, counted: Counted) -> int:
    return min(int(one.live.sum()), counted.requests.get("", 0))
