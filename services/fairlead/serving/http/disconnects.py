"""Noticing that a client has left while its request waits, without paying for it on requests that do not wait."""

from __future__ import annotations

import asyncio

from fairlead.serving.http import exchange
from fairlead.serving.inference.batching import Ticket

# Watching costs a task. Most answers are there sooner than this, and are never watched.
TICK_INTERVAL_S = 0.025


class DisconnectWatcher:
    """Watches the clients of requests that have waited for a while; cancels the request of one that leaves.

    One timer for all requests: a timer or a task for each would cost more than decoding it.
    """

    def __init__(self) -> None:
        self._receives: dict[Ticket, exchange.Receive] = {}
        self._watchers: dict[Ticket, asyncio.Task[None]] = {}
        self._at_last_tick: list[Ticket] = []
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, ticket: Ticket, receive: exchange.Receive) -> None:
        """A client now waits for this ticket; `receive` tells when it leaves."""
        self._receives[ticket] = receive
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK_INTERVAL_S, self._tick)

    def unwatch(self, ticket: Ticket) -> None:
        """The ticket has ended, one way or the other."""
        del self._receives[ticket]
        if self._watchers and (watcher := self._watchers.pop(ticket, None)):
            watcher.cancel()

    def _tick(self) -> None:
        """Watch what was here at the last look already and still is."""
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
