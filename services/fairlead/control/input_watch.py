"""Compares, during a rollout, the rows that the candidate's instances get with those of stable's.

Instances are asked on threads of their own, so one that hangs delays no tick. What was counted before the present
weight is taken off: a candidate that got more of the rows of the evening has other rows without any fault.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from fairlead import errors
from fairlead.contracts.instance import Instance
from fairlead.contracts.route import VersionRef
from fairlead.contracts.table import Table
from fairlead.control.drift import Fetch
from fairlead.profile.counted import Counted, added, read, since
from fairlead.views.unlike_inputs import unlike_inputs

EVERY_S = 15.0
"""How often the instances of a rollout are asked."""
MAX_INSTANCES = 20
"""The instances of a version that are asked, the first ones by name: each gets rows at random."""
MAX_CONCURRENT = 2
"""The routes that are asked at a time."""


@dataclass(eq=False)
class _Watched:
    """One route since its table last changed what its versions get."""

    stable: VersionRef
    candidate: VersionRef
    weight: int
    asked_at: float = -EVERY_S
    running: Future[None] | None = None
    first: dict[str, Counted] = field(default_factory=dict)
    """By instance: what it had counted when it was first asked."""
    told: str | None = None


class InputWatch:
    """`rollout.ports.Inputs`, by what instances tell at `/metrics/drift`. One thread calls it."""

    def __init__(self, fetch: Fetch, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._fetch, self._monotonic = fetch, monotonic
        self._routes: dict[str, _Watched] = {}
        self._pool = ThreadPoolExecutor(MAX_CONCURRENT, "inputs")

    def difference(self, route: str, table: Table, instances: Sequence[Instance]) -> str | None:
        """What the last reading said. A new one is begun if that is old."""
        if table.candidate is None or not table.weight:
            self._routes.pop(route, None)
            return None
        watched = self._routes.get(route)
        key = (table.stable, table.candidate, table.weight)
        if watched is None or key != (watched.stable, watched.candidate, watched.weight):
            watched = self._routes[route] = _Watched(*key)
        is_free = watched.running is None or watched.running.done()
        if is_free and self._monotonic() - watched.asked_at >= EVERY_S:
            watched.asked_at = self._monotonic()
            watched.running = self._pool.submit(self._read, watched, tuple(instances))
        return watched.told

    def keep(self, routes: Collection[str]) -> None:
        """Drop what is known of all routes but these."""
        self._routes = {name: watched for name, watched in self._routes.items() if name in routes}

    def close(self) -> None:
        """Ask no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _read(self, watched: _Watched, instances: Sequence[Instance]) -> None:
        try:
            of_stable = added(list(self._since_first(watched, watched.stable, instances)) or [Counted()])
            of_candidate = added(list(self._since_first(watched, watched.candidate, instances)) or [Counted()])
        except ValueError:
            watched.told = None  # instances of one version have different profiles, while a folder is replaced
            return
        watched.told = unlike_inputs(str(watched.stable), str(watched.candidate), of_stable, of_candidate)

    def _since_first(self, watched: _Watched, ref: VersionRef, instances: Sequence[Instance]) -> Iterator[Counted]:
        mine = sorted((one for one in instances if one.ref == ref and one.ready), key=lambda one: one.id)
        for one in mine[:MAX_INSTANCES]:
            try:
                now = read(self._fetch(one))
            except (errors.FairleadError, ValueError, ArithmeticError):
                continue  # the page of drift says which instance does not tell, and why
            try:
                yield since(now, watched.first.setdefault(one.id, now))
            except ValueError:
                watched.first[one.id] = now
