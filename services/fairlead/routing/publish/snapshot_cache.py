"""What a replica may hand out now. Written by the loop's thread, awaited by the server's event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping

from fairlead.routing.publish.publication import Shown
from fairlead.routing.publish.resource_sets import Kind, Order


class Shelf:
    """The newest of each kind. Nothing is ever replaced by something older, whoever says so."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shown: dict[Kind, Shown] = {}
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self.closed = False
        """True when this replica is about to end: whoever waits is to ask another one."""

    def put(self, kinds: Mapping[Kind, Shown]) -> None:
        """Show these from now on, and wake everybody who waits."""
        with self._lock:
            fresh = {kind: one for kind, one in kinds.items() if one.order > self._order(kind)}
            if not fresh:
                return
            self._shown.update(fresh)
        self._wake()

    def get(self, kind: Kind) -> Shown | None:
        """What is shown; None until something was loaded."""
        return self._shown.get(kind)

    @property
    def loaded(self) -> bool:
        """Whether there is anything to hand out."""
        return bool(self._shown)

    def close(self) -> None:
        """Let everybody go who waits."""
        self.closed = True
        self._wake()

    async def wait(self, ready: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `ready` holds, which is asked whenever something changed; False when time is up before."""
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

    def _order(self, kind: Kind) -> Order:
        shown = self._shown.get(kind)
        return shown.order if shown else Order(0)

    def _wake(self) -> None:
        with self._lock:
            waiting = list(self._waiting)
        for loop, changed in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(changed.set)
