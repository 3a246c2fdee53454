"""`DisconnectWatcher`: cancels a waiting request when its client disconnects.

Watching a client costs a task, so only requests that have waited for a while are watched.
"""

from __future__ import annotations

import asyncio

from fairlead.serving.http import exchange
from fairlead.serving.inference.batching import Ticket

# A request is watched after one to two ticks. Most requests are answered sooner and are never watched.
TICK_INTERVAL_S = 0.025


class DisconnectWatcher:
    """Watches the clients of requests that have waited for a while. Cancels the request of a client that disconnects.

    All requests share one timer: a timer or a task per request would cost more than decoding the request.
    """

    def __init__(self) -> None:
        self._receives: dict[Ticket, exchange.Receive] = {}
        self._watchers: dict[Ticket, asyncio.Task[None]] = {}
        self._at_last_tick: list[Ticket] = []
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, ticket: Ticket, receive: exchange.Receive) -> None:
        """Start watching the client of a ticket. `receive` returns `http.disconnect` when the client disconnects."""
        self._receives[ticket] = receive
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK_INTERVAL_S, self._tick)

    def unwatch(self, ticket: Ticket) -> None:
        """Stop watching: the ticket's future is done."""
        del self._receives[ticket]
        if self._watchers and (watcher := self._watchers.pop(ticket, None)):
            watcher.cancel()

    def _tick(self) -> None:
        """Start a watching task for each request that was waiting at the last tick and still is."""
        for ticket in self._at_last_tick:
            if ticket in self._receives and ticket not in self._watchers:
                self._watchers[ticket] = asyncio.create_task(self._watch_client(ticket, self._receives[ticket]))
        self._at_last_tick = list(self._receives)
        self._timer = asyncio.get_running_loop().call_later(TICK_INTERVAL_S, self._tick) if self._at_last_tick else None

    async def _watch_client(self, ticket: Ticket, receive: exchange.Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        if not ticket.future.done():
            ticket.client_disconnected = True
            ticket.future.cancel()
