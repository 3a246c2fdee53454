"""Noticing that a client has left while its request waits, without paying for it on requests that do not wait."""

from __future__ import annotations

import asyncio

from fairlead.serving.http import exchange
from fairlead.serving.inference.batching import Ticket

# Watching costs a task. Most answers are there sooner than this, and are never watched.
AFTER_S = 0.025


class Presence:
    """Watches the clients of requests that have waited for a while; cancels the request of one that leaves.

    One timer for all requests: a timer or a task for each would cost more than decoding it.
    """

    def __init__(self) -> None:
        self._receives: dict[Ticket, exchange.Receive] = {}
        self._watchers: dict[Ticket, asyncio.Task[None]] = {}
        self._older: list[Ticket] = []
        self._timer: asyncio.TimerHandle | None = None

    def expect(self, ticket: Ticket, receive: exchange.Receive) -> None:
        """A client now waits for this ticket; `receive` tells when it leaves."""
        self._receives[ticket] = receive
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(AFTER_S, self._look)

    def leave(self, ticket: Ticket) -> None:
        """The ticket has ended, one way or the other."""
        del self._receives[ticket]
        if self._watchers and (watcher := self._watchers.pop(ticket, None)):
            watcher.cancel()

    def _look(self) -> None:
        """Watch what was here at the last look already and still is."""
        for ticket in self._older:
            if ticket in self._receives and ticket not in self._watchers:
                self._watchers[ticket] = asyncio.create_task(self._watch(ticket, self._receives[ticket]))
        self._older = list(self._receives)
        self._timer = asyncio.get_running_loop().call_later(AFTER_S, self._look) if self._older else None

    async def _watch(self, ticket: Ticket, receive: exchange.Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        if not ticket.future.done():
            ticket.client_gone = True
            ticket.future.cancel()
