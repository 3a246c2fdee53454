"""Requests over TLS at a constant rate, on connections that are kept for a few requests each."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from dataclasses import dataclass, field

REQUESTS_OF_ONE = 20
"""Requests of one connection, so that new ones begin all the time."""


@dataclass
class TlsLoad:
    """A load on a port of loopback: `request` are the bytes of one request of HTTP/1.1."""

    port: int
    context: ssl.SSLContext
    request: bytes
    rate: float
    most: int = 20_000
    outcomes: Counter[str] = field(default_factory=Counter)
    """By status, or by the name of an error."""
    serials: set[str] = field(default_factory=set)
    """The serial numbers of the certificates that the server showed."""
    sent: int = 0

    async def run(self, ended: asyncio.Event) -> None:
        """Send until `ended` or `most`, and wait for all answers."""
        loop, tasks = asyncio.get_running_loop(), set[asyncio.Task[None]]()
        idle: list[_Connection] = []
        began = loop.time()
        while not ended.is_set() and self.sent < self.most:
            await asyncio.sleep(max(0.0, began + self.sent / self.rate - loop.time()))
            self.sent += 1
            task = asyncio.create_task(self._one(idle))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
        for one in idle:
            one.writer.close()

    async def _one(self, idle: list[_Connection]) -> None:
        try:
            connection = idle.pop() if idle else await self._connect()
            connection.writer.write(self.request)
            head = await asyncio.wait_for(connection.reader.readuntil(b"\r\n\r\n"), 15)
            fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:] if line)
            await connection.reader.readexactly(int(fields[b"content-length"]))
        except (OSError, EOFError, TimeoutError) as error:
            self.outcomes[type(error).__name__] += 1
            return
        self.outcomes[head.split(b" ", 2)[1].decode()] += 1
        connection.left -= 1
        if connection.left and fields.get(b"connection") != b"close":
            idle.append(connection)
        else:
            connection.writer.close()

    async def _connect(self) -> _Connection:
        opened = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.context, server_hostname="127.0.0.1")
        shown = opened[1].get_extra_info("ssl_object").getpeercert()
        self.serials.add(str(shown["serialNumber"]))
        return _Connection(*opened)


@dataclass
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    left: int = REQUESTS_OF_ONE
