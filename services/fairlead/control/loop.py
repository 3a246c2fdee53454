"""The loop: whenever something changed, and now and then anyway, tick the engine and publish what it made."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route, VersionRef
from fairlead.routing.check import check_snapshot
from fairlead.routing.compile import compile as compile_tables
from fairlead.routing.snapshot import Endpoint, Routed, Settings, Snapshot

LOOK_S = 0.02
"""How often the store is asked whether something changed. A rollback waits for this, so it is short."""
RESYNC_S = 0.25
"""How often everything is read again although nothing changed: time itself moves rollouts."""
PAUSE_AFTER_ERROR_S = 1.0


class LoopStore(Protocol):
    """What the loop itself reads; the engine has its own view of the same store."""

    def change_token(self) -> object: ...  # noqa: D102
    def routes(self) -> list[Route]: ...  # noqa: D102
    def head(self, route: str) -> Revision | None: ...  # noqa: D102
    def instances(self) -> list[Instance]: ...  # noqa: D102


class Ticking(Protocol):
    """The engine, as the loop sees it."""

    def tick(self) -> object: ...  # noqa: D102


class Publishing(Protocol):
    """The publisher, as the loop sees it."""

    def want(self, snapshot: Snapshot) -> None: ...  # noqa: D102
    def step(self) -> object: ...  # noqa: D102


class Loop:
    """Not for several threads: `run` is the one that turns it. `beat` may be read by any."""

    def __init__(
        self,
        store: LoopStore,
        engine: Ticking,
        publisher: Publishing,
        settings: Settings,
        *,
        log: logging.Logger,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._engine = engine
        self._publisher = publisher
        self._settings = settings
        self._log = log
        self._monotonic = monotonic
        self._stopping = threading.Event()
        self._token: object = None
        self._due = 0.0
        self._complaint = ""
        self.beat = 0.0
        """When the last turn succeeded, on the monotonic clock; 0 before the first."""

    def run(self) -> None:
        """Turn until stop(). An error ends one turn, never the loop: what is published keeps serving meanwhile."""
        pause = LOOK_S
        while not self._stopping.wait(pause):
            try:
                self.turn()
                pause = LOOK_S
                self._complaint = ""
            except (
                Exception
            ) as error:  # the edge of the process: a store that is locked for a while is no reason to die
                pause = PAUSE_AFTER_ERROR_S
                # Once per kind, with its traceback: an outage of an hour must not fill the disk.
                known, self._complaint = self._complaint, f"{type(error).__name__}: {error}"
                self._log.error("the loop's turn failed", exc_info=self._complaint != known)

    def turn(self) -> None:
        """One look: tick if something changed or it is time, then let the publisher take its next step."""
        now = self._monotonic()
        token = self._store.change_token()
        if token != self._token or now >= self._due:
            self._engine.tick()
            self._publisher.want(self.snapshot())
            # Read before the tick: what was written during it is looked at again.
            self._token = token
            self._due = now + RESYNC_S
        self._publisher.step()
        self.beat = self._monotonic()

    def snapshot(self) -> Snapshot:
        """What every gateway shall serve now. Raises Refused rather than publish something that dangles."""
        routes = self._store.routes()
        heads = {route.name: self._store.head(route.name) for route in routes}
        routed = [Routed(name, head.seq, head.table) for name, head in heads.items() if head is not None]
        pending = [route.spec.model for route in routes if heads[route.name] is None]
        snapshot = compile_tables(routed, endpoints(self._store.instances()), self._settings, pending)
        check_snapshot(snapshot)
        return snapshot

    def stop(self) -> None:
        """End run() after its present turn."""
        self._stopping.set()


def endpoints(instances: Sequence[Instance]) -> Mapping[tuple[str, str, VersionRef], Sequence[Endpoint]]:
    """Where each version can be reached: its ready instances. A version without one has an empty cluster."""
    found: dict[tuple[str, str, VersionRef], list[Endpoint]] = {}
    for instance in instances:
        if instance.ready:
            key = (instance.namespace, instance.model, instance.ref)
            found.setdefault(key, []).append(Endpoint(instance.host, instance.port))
    return {key: sorted(hosts) for key, hosts in found.items()}
