"""Compares, during a rollout, the rows that the candidate's instances get with those of stable's.

Instances are asked on threads of their own, so one that hangs delays no tick. Added up is what instances counted
between two rounds in which both versions were read: over other times their rows differ without any fault.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import zip_longest
from math import inf

from fairlead import errors
from fairlead.contracts.instance import Instance
from fairlead.contracts.route import VersionRef
from fairlead.contracts.status import Condition
from fairlead.contracts.table import Table
from fairlead.control.drift import Fetch
from fairlead.profile.counted import Counted, read
from fairlead.profile.increases import Increases, only_inputs
from fairlead.views.unlike_inputs import not_compared, unlike_inputs

EVERY_S = 15.0
"""How often the instances of a rollout are asked, at most,"""
ROUTE_S = 3.0
"""and all rollouts together: one in so many seconds, so with more than five of them each is asked less often."""
ROUND_S = 10.0
"""No instance is asked after so much time of a round: one that hangs must not keep the thread from other routes."""
OLD = 4
"""A comparison is not told any more after so many intervals without another."""
MAX_INSTANCES = 5
"""The instances of a version that are asked, the first ones by name: each gets rows at random."""
MAX_CONCURRENT = 2
"""The routes that are asked at a time."""

_LOG = logging.getLogger("fairlead.control")


@dataclass(eq=False)
class _Watched:
    """One route since its table last changed what its versions get."""

    table: Table
    asked_at: float = -inf
    running: Future[None] | None = None
    stable: Increases = field(default_factory=Increases)
    candidate: Increases = field(default_factory=Increases)
    told: Condition = field(default_factory=not_compared)
    told_at: float = -inf
    why_not: str = "no rows have been read since the weight changed"
    """Why there is no newer comparison."""

    def is_of(self, table: Table) -> bool:
        """Whether users are assigned as before."""
        same = ("stable", "candidate", "weight", "attempt", "sticky")
        return all(getattr(table, name) == getattr(self.table, name) for name in same)


class InputWatch:
    """`rollout.ports.Inputs`, by what instances tell at `/metrics/drift`. One thread calls it."""

    def __init__(self, fetch: Fetch, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._fetch, self._monotonic = fetch, monotonic
        self._routes: dict[str, _Watched] = {}
        self._pool = ThreadPoolExecutor(MAX_CONCURRENT, "inputs")
        self._closed = threading.Event()
        self._has_failed = False

    def compared(self, route: str, table: Table, instances: Sequence[Instance]) -> Condition:
        """What the last reading said. A new one is begun if that is old."""
        if table.candidate is None or not table.weight:
            self._routes.pop(route, None)
            return not_compared()
        now, every_s = self._monotonic(), max(EVERY_S, ROUTE_S * len(self._routes))
        watched = self._routes.get(route)
        if watched is None or not watched.is_of(table):
            watched = self._routes[route] = _Watched(table)
        is_free = watched.running is None or watched.running.done()
        if is_free and not self._closed.is_set() and now - watched.asked_at >= every_s:
            watched.asked_at = now
            asked = _asked(table.stable, table.candidate, instances)
            watched.running = self._pool.submit(self._read, watched, table.stable, table.candidate, asked)
        return watched.told if now - watched.told_at <= OLD * every_s else not_compared(watched.why_not)

    def keep(self, routes: Collection[str]) -> None:
        """Drop what is known of all routes but these."""
        self._routes = {name: watched for name, watched in self._routes.items() if name in routes}

    def close(self) -> None:
        """Ask no more."""
        self._closed.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _read(self, watched: _Watched, stable: VersionRef, candidate: VersionRef, asked: Sequence[Instance]) -> None:
        try:
            watched.why_not = self._round(watched, stable, candidate, asked)
        except Exception:
            watched.why_not = "comparing failed: see the log of the control plane"
            if not self._has_failed:
                _LOG.exception("comparing the rows of %s failed; this is said once", watched.table.model)
            self._has_failed = True

    def _round(self, watched: _Watched, stable: VersionRef, candidate: VersionRef, asked: Sequence[Instance]) -> str:
        """Ask and compare once. Why there is no newer comparison than the last one, for when that is old."""
        counted: dict[VersionRef, dict[str, Counted]] = {stable: {}, candidate: {}}
        silent = dict.fromkeys(counted, "none is ready, or others took too long")
        until = self._monotonic() + ROUND_S
        for one in asked:
            if self._closed.is_set() or self._monotonic() > until:
                break
            try:
                counted[one.ref][one.id] = only_inputs(read(self._fetch(one), of_slices=False))
            except (errors.FairleadError, ValueError, ArithmeticError) as error:
                silent[one.ref] = str(error)
        for ref, of_ref in counted.items():
            if not of_ref:
                return f"no instance of {ref} says what it has counted: {silent[ref]}"
        try:
            more = watched.stable.increase(counted[stable]), watched.candidate.increase(counted[candidate])
            if more[0] is None or more[1] is None:
                return "rows are compared from the second reading of the same instances on"
            totals = watched.stable.add(more[0]), watched.candidate.add(more[1])
        except ValueError:
            watched.stable, watched.candidate = Increases(), Increases()
            return "instances of one version count in the bins of different profiles; all begins again"
        watched.told, watched.told_at = unlike_inputs(watched.table, *totals), self._monotonic()
        return "the last comparison is old"


def _asked(stable: VersionRef, candidate: VersionRef, instances: Sequence[Instance]) -> list[Instance]:
    """The first instances of both versions in turn, so that slow ones of one version leave time for the other."""
    by_name = sorted((one for one in instances if one.ready), key=lambda one: one.id)
    of_both = ([one for one in by_name if one.ref == ref][:MAX_INSTANCES] for ref in (stable, candidate))
    return [one for pair in zip_longest(*of_both) for one in pair if one is not None]
