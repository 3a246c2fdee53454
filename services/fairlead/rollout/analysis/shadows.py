"""Pairs, classes and the shadow status of each route, from the services' answer records, window by window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce

from fairlead.contracts.answers import ClassCounts, Compared, Pairs, ShadowStatus, add_classes
from fairlead.contracts.route import VersionRef
from fairlead.contracts.window import VersionsMeasured
from fairlead.rollout.analysis.measured import Idle, measured
from fairlead.rollout.analysis.pairs import Joiner, Versions
from fairlead.rollout.ports import CollectedAnswers

WindowEnds = tuple[datetime, datetime]
"""A window's start and end: no two of an attempt have the same."""
MAX_VERSIONS = 16
"""How many pairs of versions the status shows at most: the newest."""


@dataclass(frozen=True, slots=True)
class ComparedVersions:
    """What is compared in one window: the two versions, the attempt, and how close scores must be."""

    attempt: int
    stable: VersionRef
    candidate: VersionRef | None
    tolerance: float
    gates: frozenset[str] = frozenset()
    """The gates of the strategy that judge by what services count."""
    max_error: float | None = None


@dataclass(frozen=True, slots=True)
class Matched:
    """Pairs, classes and what the services counted, that are in no window yet."""

    pairs: Pairs = Pairs()
    classes: ClassCounts = ClassCounts()
    measured: VersionsMeasured | None = None

    def plus(self, other: Matched) -> Matched:
        """The sum of both."""
        measured = [one.measured for one in (self, other) if one.measured is not None]
        return Matched(
            self.pairs.plus(other.pairs),
            self.classes.plus(other.classes),
            reduce(VersionsMeasured.plus, measured) if measured else None,
        )


@dataclass
class _Route:
    joiner: Joiner = field(default_factory=Joiner)
    attempt: int = -1
    totals: dict[Versions, Pairs] = field(default_factory=dict)
    problems: dict[VersionRef, dict[str, int]] = field(default_factory=dict)
    lost: int = 0
    silent: tuple[str, ...] = ()
    idle: dict[VersionRef, Idle] = field(default_factory=dict)
    newest: WindowEnds | None = None
    """The window with the pairs that were matched before; None before the first window."""
    unrecorded: Matched = Matched()


class ShadowMatcher:
    """Matches answers per route and keeps those that wait for their partner. Not for several threads at once."""

    def __init__(self) -> None:
        self._routes: dict[str, _Route] = {}
        self._collected: Mapping[str, CollectedAnswers] = {}

    def receive(self, collected: Mapping[str, CollectedAnswers]) -> None:
        """Take the newly collected records of all routes."""
        self._collected = collected

    def has_new_answers(self, route: str) -> bool:
        """True when the newest records have some of this route."""
        return route in self._collected

    def match(self, route: str, compare: ComparedVersions, newest: WindowEnds | None) -> Matched:
        """The route's pairs and classes that are in no window yet, with the newest records.

        `newest` is the attempt's newest window. If it is not the one that was recorded last, another engine has counted
        a part of these pairs, so none of them is counted here.
        """
        collected, known = self._collected.get(route), self._routes.setdefault(route, _Route())
        if known.attempt != compare.attempt:
            known.joiner.close()
            known.joiner.worst = ()
            self._routes[route] = known = _Route(known.joiner, compare.attempt)
        for ref, counts in (collected.problems if collected is not None else {}).items():
            known.problems[ref] = add_classes(known.problems.get(ref, {}), dict(counts))
        for ref, increase in (collected.increases if collected is not None else {}).items():
            known.idle[ref] = known.idle.get(ref, Idle()).plus(increase)
        if newest != known.newest:
            known.joiner.close()
            known.newest, known.unrecorded = newest, Matched()
            collected = CollectedAnswers((), {}, collected.lost, collected.silent) if collected is not None else None
        if collected is None:
            return known.unrecorded
        known.lost, known.silent = known.lost + collected.lost, collected.silent
        found = known.joiner.join(collected.answers, compare.tolerance)
        for versions, pairs in found.items():
            known.totals[versions] = known.totals.get(versions, Pairs()).plus(pairs)
        if compare.candidate is None:
            return Matched()
        mine = found.get((compare.stable, compare.candidate), Pairs())
        stable, candidate = (dict(collected.classes.get(ref, {})) for ref in (compare.stable, compare.candidate))
        more = ClassCounts(candidate=add_classes(candidate, {}), stable=add_classes(stable, {}))
        known.unrecorded = known.unrecorded.plus(Matched(mine, more, _measured(compare, collected, known.idle)))
        return known.unrecorded

    def mark_recorded(self, route: str, ends: WindowEnds) -> None:
        """The pairs matched up to now are recorded in the window with these ends."""
        known = self._routes[route]
        known.newest, known.unrecorded = ends, Matched()

    def status(self, route: str) -> ShadowStatus | None:
        """For people: everything compared in the newest attempt, or None if nothing was."""
        known = self._routes.get(route)
        if known is None or not (known.totals or known.lost or known.silent):
            return None
        return ShadowStatus(
            compared=tuple(self._compared(known)),
            lost=known.lost,
            silent=known.silent,
            worst=known.joiner.worst,
        )

    def problems(self, route: str) -> Mapping[VersionRef, Mapping[str, int]]:
        """For people: how often predictions failed in the newest attempt, by version, and by status and sentence."""
        known = self._routes.get(route)
        return known.problems if known is not None else {}

    def keep(self, routes: set[str]) -> None:
        """Drop all other routes: they were deleted."""
        for gone in self._routes.keys() - routes:
            del self._routes[gone]

    def _compared(self, known: _Route) -> Iterator[Compared]:
        for (live, shadow), pairs in list(known.totals.items())[-MAX_VERSIONS:]:
            yield Compared(live=live, shadow=shadow, pairs=pairs)


def _measured(
    compare: ComparedVersions, collected: CollectedAnswers, idle: Mapping[VersionRef, Idle]
) -> VersionsMeasured | None:
    """What the services of both versions counted, for the gates of the strategy. None if nothing was read."""
    if not compare.gates or not collected.increases:
        return None
    stable, candidate = (
        measured(collected.increases.get(ref), compare.gates, compare.max_error)
        for ref in (compare.stable, compare.candidate)
        if ref is not None
    )
    if compare.candidate is not None:
        # Only the candidate's: where stable is never idle the comparison must not become stricter.
        candidate = idle.get(compare.candidate, Idle()).without(candidate)
    return VersionsMeasured(candidate=candidate, stable=stable)
