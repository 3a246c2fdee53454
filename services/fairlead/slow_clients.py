"""`LimitedServer`: uvicorn that ends the connections of clients that take too long to send a request.

uvicorn has a limit for idle connections only: a client that sends one byte now and then, or none at all, keeps its
connection and what it has sent for ever. A timer for each request would cost every request. So the server looks at all
connections once a second, and remembers which of them are receiving.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import Any

import uvicorn

RECEIVE_S = 60.0
"""The limit of the control plane. The model service has a setting."""
TICKS_PER_LOOK = 10
"""uvicorn ticks every 0.1 s."""


class SlowClients:
    """Finds the connections that have been receiving the same request for too long.

    A connection is an object of uvicorn's protocols for HTTP/1.1, with httptools or h11.
    """

    def __init__(self, receive_s: float) -> None:
        self._receive_s = receive_s
        self._since: dict[Any, tuple[Any, float]] = {}

    def look(self, connections: Iterable[Any], now: float) -> list[Any]:
        """The connections that are too slow at the time `now`, in seconds. Each look must get all connections."""
        since, slow = {}, []
        for connection in connections:
            if not is_receiving(connection):
                continue
            request = (connection.cycle, connection.transport.is_closing())
            before, began = self._since.get(connection, (None, now))
            since[connection] = (request, began if before == request else now)
            if now - since[connection][1] >= self._receive_s:
                slow.append(connection)
        self._since = since
        return slow


def is_receiving(connection: Any) -> bool:
    """Whether a connection waits for the rest of a request, for its first request, or for its last bytes to leave."""
    if connection.cycle is None or connection.transport.is_closing():
        return True
    if not connection.cycle.response_complete:
        return bool(connection.cycle.more_body)
    # Between two requests: uvicorn's timer runs until the first byte of the next one.
    return connection.timeout_keep_alive_task is None


class LimitedServer(uvicorn.Server):
    """uvicorn with a limit for the time that a client may take to send a request, head and body, in seconds.

    `ending` is called, by the event loop, when the server begins to end: it then waits for the answers that are not
    complete, so an answer that never is must be ended.
    """

    def __init__(self, config: uvicorn.Config, receive_s: float, *, ending: Callable[[], None] = lambda: None) -> None:
        super().__init__(config)
        self._slow_clients = SlowClients(receive_s)
        self._ending = ending

    async def on_tick(self, counter: int) -> bool:
        """Look at all connections once a second."""
        if counter % TICKS_PER_LOOK == 0:
            now = asyncio.get_running_loop().time()
            for connection in self._slow_clients.look(self.server_state.connections, now):
                self.end(connection)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wait for the answers that are not complete, and end."""
        self._ending()
        await super().shutdown(sockets)

    def end(self, connection: Any) -> None:
        """End the connection of a slow client. What it would still have to receive is discarded."""
        connection.transport.abort()
