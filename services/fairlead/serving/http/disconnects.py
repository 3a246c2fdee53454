"""`DisconnectWatcher`: cancels a waiting request when its client disconnects.

Watching a client costs a task, so only requests that have waited for a while are watched.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from fairlead.serving.http import exchange

# A request is watched after one to two ticks. Most requests are answered sooner and are never watched.
TICK_INTERVAL_S = 0.025


class Waiting(Protocol):
    """What a client waits for: the answers to its rows, or before that the decoding of its body."""

    client_disconnected: bool

    @property
    def future(self) -> asyncio.Future[Any]:
        """It is cancelled when the client disconnects."""


class DisconnectWatcher:
    """Watches the clients of requests that have waited for a while. Cancels the request of a client that disconnects.

    All requests share one timer: a timer or a task per request would cost more than decoding the request.
    """

    def __init__(self) -> None:
        self._receives: dict[Waiting, exchange.Receive] = {}
        self._watchers: dict[Waiting, asyncio.Task[None]] = {}
        self._at_last_tick: list[Waiting] = []
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, waiting: Waiting, receive: exchange.Receive) -> None:
        """Start watching a client. `receive` returns `http.disconnect` when the client disconnects."""
        self._receives[waiting] = receive
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK_INTERVAL_S, self._tick)

    def unwatch(self, waiting: Waiting) -> None:
        """Stop watching: the future is done."""
        del self._receives[waiting]
        if self._watchers and (watcher := self._watchers.pop(waiting, None)):
            watcher.cancel()

    def _tick(self) -> None:
        """Start a watching task for each request that was waiting at the last tick and still is."""
        for waiting in self._at_last_tick:
            if waiting in self._receives and waiting not in self._watchers:
                self._watchers[waiting] = asyncio.create_task(self._watch_client(waiting, self._receives[waiting]))
        self._at_last_tick = list(self._receives)
        self._timer = asyncio.get_running_loop().call_later(TICK_INTERVAL_S, self._tick) if self._at_last_tick else None

    async def _watch_client(self, waiting: Waiting, receive: exchange.Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        if not waiting.future.done():
            waiting.client_disconnected = True
            waiting.future.cancel()
