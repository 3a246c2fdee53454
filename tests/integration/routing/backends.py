"""Tiny HTTP services on loopback that answer with their version and what they received."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import responses

from fairlead.contracts.gateway import LEAVING_HEADER, SERVICE_HEADER
from fairlead.routing.snapshot import Endpoint
from support.event_loop_thread import Loop, running_loop


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Backend:
    """One instance. `status`, `delay_s` and `ready` may be changed while it runs."""

    version: str
    status: int = 200
    delay_s: float = 0.0
    port: int = 0
    host: str = "127.0.0.1"
    ready: int | None = 200
    """The status of readiness checks; None does not answer. Checks are recorded in `checks`, not in `seen`."""
    seen: list[Seen] = field(default_factory=list)
    checks: list[Seen] = field(default_factory=list)
    drains: bool = False
    """Whether its readiness says so, as that of a service does."""
    server: asyncio.Server | None = None
    context: ssl.SSLContext | None = None
    """With it, it answers with TLS only."""

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.host, self.port)

    async def start(self) -> None:
        # One backend may stand for hundreds, and a starting gateway checks all of them at once.
        self.server = await asyncio.start_server(self._serve, self.host, self.port, backlog=4096, ssl=self.context)
        self.port = int(self.server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _read(reader):
                if SERVICE_HEADER in request.headers:
                    self.checks.append(request)
                    while (status := self.ready) is None:
                        await asyncio.sleep(0.05)
                else:
                    self.seen.append(request)
                    status = self.status
                    await asyncio.sleep(self.delay_s)
                body = json.dumps({"version": self.version, "path": request.path, "headers": request.headers}).encode()
                leaving = (f"{LEAVING_HEADER}: true",) if self.drains and SERVICE_HEADER in request.headers else ()
                head = (
                    f"HTTP/1.1 {status} {responses[status]}",
                    f"content-length: {len(body)}",
                    "content-type: application/json",
                    "x-envoy-secret: 1",
                    f"x-model-version: {self.version}",
                    *leaving,
                )
                writer.write("\r\n".join((*head, "", "")).encode() + body)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Seen | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Seen(method, path, headers, body)


class Backends:
    """Backends on an event loop of their own thread."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._running: list[Backend] = []

    def start(
        self,
        version: str,
        *,
        port: int = 0,
        status: int = 200,
        delay_s: float = 0.0,
        host: str = "127.0.0.1",
        context: ssl.SSLContext | None = None,
    ) -> Backend:
        backend = Backend(version, status, delay_s, port, host, context=context)
        self._loop.call(backend.start())
        self._running.append(backend)
        return backend

    def kill(self, backend: Backend) -> None:
        """Like a killed process: closes the port and resets every connection."""

        async def stop() -> None:
            assert backend.server is not None
            backend.server.close()
            current = asyncio.current_task()
            for task in asyncio.all_tasks():
                coroutine = task.get_coro()
                frame = getattr(coroutine, "cr_frame", None)
                if task is not current and frame is not None and frame.f_locals.get("self") is backend:
                    task.cancel()

        self._loop.call(stop())

    def close(self) -> None:
        async def stop() -> None:
            for backend in self._running:
                if backend.server is not None:
                    backend.server.close()

        self._loop.call(stop())


@contextmanager
def running_backends() -> Iterator[Backends]:
    with running_loop("backends") as loop:
        backends = Backends(loop)
        try:
            yield backends
        finally:
            backends.close()
