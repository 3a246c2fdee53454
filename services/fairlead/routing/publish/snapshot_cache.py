"""The resources a replica may send to gateways now. The loop's thread writes them; the server's event loop waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping

from fairlead.routing.publish.publication import EncodedUpdate
from fairlead.routing.publish.resource_sets import NO_UPDATE, Kind, UpdateOrder


class SnapshotCache:
    """The newest update of each kind. An older update never replaces a newer one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._updates: dict[Kind, EncodedUpdate] = {}
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self.closed = False
        """True when this replica is about to end: gateways should then ask another replica."""

    def put(self, kinds: Mapping[Kind, EncodedUpdate]) -> None:
        """Store these updates, and wake all waiting requests."""
        with self._lock:
            fresh = {kind: one for kind, one in kinds.items() if one.order > self._order(kind)}
            if not fresh:
                return
            self._updates.update(fresh)
        self._wake()

    def get(self, kind: Kind) -> EncodedUpdate | None:
        """The newest update of a kind; None until one was loaded."""
        return self._updates.get(kind)

    @property
    def loaded(self) -> bool:
        """Whether the cache holds anything."""
        return bool(self._updates)

    def close(self) -> None:
        """End all waiting requests."""
        self.closed = True
        self._wake()

    async def wait(self, ready: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `ready` returns True; it is called after every change. Returns False on timeout."""
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        deadline = loop.time() + timeout_s
        waiter = (loop, changed)
        with self._lock:
            self._waiting.add(waiter)
        try:
            while not ready():
                left = deadline - loop.time()
                if left <= 0:
                    return False
                try:
                    await asyncio.wait_for(changed.wait(), left)
                except TimeoutError:
                    return ready()
                changed.clear()
            return True
        finally:
            with self._lock:
                self._waiting.discard(waiter)

    def _order(self, kind: Kind) -> UpdateOrder:
        update = self._updates.get(kind)
        return update.order if update else NO_UPDATE

    def _wake(self) -> None:
        with self._lock:
            waiting = list(self._waiting)
        for loop, changed in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(changed.set)
