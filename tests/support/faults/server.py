"""The backend's process: two small HTTP/1.1 servers on one event loop, one for predictions and one for commands."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, cast

import httptools
import uvloop

from support.faults.backend import USERS, Faults, answer

_REASONS = {
    200: b"OK",
    404: b"Not Found",
    429: b"Too Many Requests",
    500: b"Internal Server Error",
    503: b"Unavailable",
}


@dataclass
class Tally:
    """The counters of one kind of request."""

    asked: int = 0
    answered: Counter[int] = field(default_factory=Counter)
    abandoned: int = 0


class Server:
    """The state that all connections share."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.faults = Faults()
        self.tallies: dict[str, Tally] = {}
        self.draw = random.Random(settings["seed"]).random
        self.connections: set[Predictions] = set()
        self.listener: asyncio.Server | None = None
        self.good = answer(settings["model"], settings["version"])
        self.headers = f"x-model-name: {settings['model']}\r\nx-model-version: {settings['version']}\r\n".encode()

    def tally(self, kind: str) -> Tally:
        return self.tallies.setdefault(kind, Tally())

    async def listen(self) -> None:
        loop = asyncio.get_running_loop()
        self.listener = await loop.create_server(lambda: Predictions(self), "127.0.0.1", self.settings["port"])

    async def behave(self, faults: Faults) -> None:
        """Change the behaviour. In mode "refuse" the port and all its connections are closed."""
        self.faults = faults
        self.draw = random.Random(self.settings["seed"]).random
        if faults.mode == "refuse" and self.listener is not None:
            self.listener.close()
            self.listener = None
            for connection in list(self.connections):
                connection.abort()
        elif faults.mode != "refuse" and self.listener is None:
            await self.listen()


class Http(asyncio.Protocol):
    """One connection: parses requests; subclasses handle each complete one in `on_message_complete`."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.close()

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers: dict[bytes, bytes] = {}
        self.body = b""

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self.body += body

    def reply(self, status: int, body: bytes, headers: bytes = b"") -> None:
        self.transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%s\r\n%s"
            % (status, _REASONS.get(status, b"Status"), len(body), headers, body)
        )


class Predictions(Http):
    """A connection of the gateway, for predictions and health checks."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server = server
        self.pending: list[Tally] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.server.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.server.connections.discard(self)
        for tally in self.pending:
            tally.abandoned += 1
        self.pending = []

    def abort(self) -> None:
        self.transport.abort()

    def on_message_complete(self) -> None:
        path, faults = self.url.split(b"?", 1)[0], self.server.faults
        if path in (b"/readyz", b"/livez", b"/startupz", b"/v2/health/ready", b"/v2/health/live"):
            self.server.tally("probe").asked += 1
            self.reply(200 if faults.ready else 503, b'{"ready":true}' if faults.ready else b'{"ready":false}')
            return
        tally = self.server.tally(self._kind())
        tally.asked += 1
        if faults.mode == "close":
            tally.abandoned += 1
            self.transport.close()
            return
        self.pending.append(tally)
        if faults.mode == "hang":
            return
        status = faults.status if faults.fail and self.server.draw() < faults.fail else 200
        echoed = b"x-request-id: %s\r\n" % self.headers.get(b"x-request-id", b"none")
        if faults.delay_ms:
            asyncio.get_running_loop().call_later(faults.delay_ms / 1000, self._finish, tally, status, echoed)
        else:
            self._finish(tally, status, echoed)

    def _kind(self) -> str:
        if b"x-shadow-of" in self.headers:
            return "shadow"
        return self.headers.get(b"x-load", USERS.encode()).decode("latin-1")

    def _finish(self, tally: Tally, status: int, headers: bytes) -> None:
        if tally not in self.pending:  # the connection was lost, and connection_lost has counted it
            return
        self.pending.remove(tally)
        tally.answered[status] += 1
        body = self.server.good if status == 200 else b'{"title":"failed on command","status":%d}' % status
        self.reply(status, body, self.server.headers + headers)


class Commands(Http):
    """A connection of the test, for commands."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server = server

    def on_message_complete(self) -> None:
        self.task = asyncio.get_running_loop().create_task(
            self._execute(self.parser.get_method() + b" " + self.url, self.body)
        )

    async def _execute(self, command: bytes, body: bytes) -> None:
        if command == b"PUT /faults":
            await self.server.behave(Faults(**json.loads(body)))
        elif command == b"DELETE /counts":
            for tally in self.server.tallies.values():
                tally.asked, tally.answered, tally.abandoned = 0, Counter(), 0
        elif command != b"GET /counts":
            self.reply(404, b'{"title":"no such command"}')
            return
        counts = {
            kind: {"asked": tally.asked, "answered": tally.answered, "abandoned": tally.abandoned}
            for kind, tally in self.server.tallies.items()
        }
        self.reply(200, json.dumps(counts if command != b"PUT /faults" else {}).encode())


async def serve(settings: dict[str, Any]) -> None:
    """Serve until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    server, ended = Server(settings), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    loop.add_signal_handler(signal.SIGINT, ended.set)
    await server.listen()
    await loop.create_server(lambda: Commands(server), "127.0.0.1", settings["control_port"])
    await ended.wait()


if __name__ == "__main__":
    uvloop.run(serve(json.loads(sys.argv[1])))
