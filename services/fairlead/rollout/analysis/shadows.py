"""What each route's services told of their answers, window by window: pairs, classes, and a page for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fairlead.contracts.answers import ClassCounts, Compared, Pairs, ShadowStatus, add_classes
from fairlead.contracts.route import VersionRef
from fairlead.rollout.analysis.pairs import Joiner, Versions
from fairlead.rollout.ports import Heard

MOST_VERSIONS = 16
"""Versions compared with each other that are told at most; the newest."""


@dataclass(frozen=True, slots=True)
class Compare:
    """What is compared in one window: which two versions, in which attempt, and how close scores must be."""

    attempt: int
    stable: VersionRef
    candidate: VersionRef | None
    tolerance: float


@dataclass(frozen=True, slots=True)
class Matched:
    """What one window has of it."""

    pairs: Pairs = Pairs()
    classes: ClassCounts = ClassCounts()


@dataclass
class _Route:
    joiner: Joiner = field(default_factory=Joiner)
    attempt: int = -1
    tolerance: float = 0.0
    totals: dict[Versions, Pairs] = field(default_factory=dict)
    lost: int = 0
    silent: tuple[str, ...] = ()


class Shadows:
    """Remembers answers that wait for their other half. Not for several threads at once."""

    def __init__(self) -> None:
        self._routes: dict[str, _Route] = {}
        self._since: datetime | None = None
        self._heard: Mapping[str, Heard] = {}
        self._from: datetime | None = None

    def listen(self, heard: Mapping[str, Heard], until: datetime) -> None:
        """What was told up to now, of all routes."""
        self._from, self._since = self._since, until
        self._heard = heard

    def match(self, route: str, compare: Compare, counted_until: datetime | None) -> Matched:
        """What one route's window has of it.

        `counted_until` is the end of the newest window: where it is later than where this hearing began, another
        engine has counted a part of it, so nothing of it is counted again.
        """
        heard, known = self._heard.get(route), self._routes.setdefault(route, _Route())
        if known.attempt != compare.attempt:
            self._routes[route] = known = _Route(Joiner(), compare.attempt)
        if heard is None:
            return Matched()
        known.lost, known.silent = known.lost + heard.lost, heard.silent
        if self._from is None or (counted_until is not None and counted_until > self._from):
            known.joiner.forget()
            return Matched()
        found = known.joiner.join(heard.answers, compare.tolerance)
        for versions, pairs in found.items():
            known.totals[versions] = known.totals.get(versions, Pairs()).plus(pairs)
        if compare.candidate is None:
            return Matched()
        mine = found.get((compare.stable, compare.candidate), Pairs())
        stable, candidate = (dict(heard.classes.get(ref, {})) for ref in (compare.stable, compare.candidate))
        return Matched(mine, ClassCounts(candidate=add_classes(candidate, {}), stable=add_classes(stable, {})))

    def told(self, route: str) -> ShadowStatus | None:
        """For people: everything compared in the newest attempt; None where nothing was."""
        known = self._routes.get(route)
        if known is None or not (known.totals or known.lost or known.silent):
            return None
        return ShadowStatus(
            compared=tuple(self._compared(known)),
            lost=known.lost,
            silent=known.silent,
            worst=known.joiner.worst,
        )

    def keep(self, routes: set[str]) -> None:
        """Forget routes that are no more."""
        for gone in self._routes.keys() - routes:
            del self._routes[gone]

    def _compared(self, known: _Route) -> Iterator[Compared]:
        for (live, shadow), pairs in list(known.totals.items())[-MOST_VERSIONS:]:
            yield Compared(live=live, shadow=shadow, pairs=pairs)
