"""A TCP relay whose target can be changed. It stands for a Service: its address stays, the pods behind it change."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from support.event_loop_thread import Loop, running_loop


class Relay:
    """Forwards connections from its own port to a target port. Use `running_relay`."""

    def __init__(self, loop: Loop) -> None:
        self.port = 0
        self._loop = loop
        self._target: int | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    def to(self, port: int | None, *, cut: bool = True) -> None:
        """Forward new connections to this port; None closes them at once. `cut` ends the open connections."""

        async def change() -> None:
            self._target = port
            if cut:
                for writer in list(self._writers):
                    writer.transport.abort()

        self._loop.call(change())

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = int(server.sockets[0].getsockname()[1])
        return server

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._target is not None:
                await self._join(reader, writer, self._target)
        finally:
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: int) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            return
        pair = {writer, far_writer}
        self._writers |= pair
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            self._writers -= pair
            far_writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


@contextlib.contextmanager
def running_relay(port: int | None) -> Iterator[Relay]:
    """Run a relay to `port` on its own thread."""
    with running_loop("relay") as loop:
        relay = Relay(loop)
        server = loop.call(relay.start())
        relay.to(port)
        try:
            yield relay
        finally:
            relay.to(None)
            loop.call(_close(server))


async def _close(server: asyncio.Server) -> None:
    server.close()
