"""The load generator of a rehearsal in real time: sends the users' requests to the gateway on loopback.

Requests are sent at random times at the scenario's rate (Poisson), and do not wait for earlier responses. The rate and
the number of requests in flight are bounded, so that a rehearsal does not overload a laptop.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable

from fairlead.rehearsal.frames import RequestCounts

LOOPBACK = "127.0.0.1"
MAX_RATE = 500.0
"""Requests per second. One Python process can send a few thousand, and the other processes need CPU time too."""
MAX_IN_FLIGHT = 500
POLL_INTERVAL_S = 0.05
MAX_LAG_S = 1.0
"""If the generator is later than this, it did not get CPU time. It then skips the missed requests: no burst."""
BODY = b'{"row": 1}'

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class LoadGenerator:
    """Sends requests until cancelled. `rate` returns the current requests per second."""

    def __init__(
        self, port: int, path: str, *, rate: Callable[[], float], rng: random.Random, timeout_s: float
    ) -> None:
        self._port, self._rate, self._rng, self._timeout_s = port, rate, rng, timeout_s
        head = f"POST {path} HTTP/1.1\r\nhost: {LOOPBACK}\r\ncontent-type: application/json\r\n"
        self._request = f"{head}content-length: {len(BODY)}\r\n\r\n".encode() + BODY
        self._idle: list[Connection] = []
        self._in_flight: set[asyncio.Task[None]] = set()
        self.counts = RequestCounts()
        """Requests and bad responses so far."""

    async def run(self) -> None:
        """Send until cancelled, then drop the requests in flight."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        try:
            while True:
                now, rate = loop.time(), min(self._rate(), MAX_RATE)
                if rate <= 0 or due < now - MAX_LAG_S:
                    due = now
                if rate <= 0 or due > now:
                    # Sleep briefly only: the rate may change before the next request is due.
                    await asyncio.sleep(POLL_INTERVAL_S if rate <= 0 else min(due - now, POLL_INTERVAL_S))
                    continue
                self._send()
                due += self._rng.expovariate(rate)
                await asyncio.sleep(0)
        finally:
            dropped = list(self._in_flight)
            for task in dropped:
                task.cancel()
            await asyncio.gather(*dropped, return_exceptions=True)
            for _, writer in self._idle:
                writer.transport.abort()

    def reset_counts(self) -> None:
        """Start counting again from 0."""
        self.counts = RequestCounts()

    def _send(self) -> None:
        if len(self._in_flight) >= MAX_IN_FLIGHT:
            self._count(good=False)
            return
        task = asyncio.get_running_loop().create_task(self._request_once())
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    async def _request_once(self) -> None:
        status = 0
        with contextlib.suppress(OSError, EOFError, ValueError, asyncio.LimitOverrunError, TimeoutError):
            async with asyncio.timeout(self._timeout_s):
                status = await self._exchange()
        self._count(good=status == 200)

    async def _exchange(self) -> int:
        reader, writer = await self._connection()
        try:
            writer.write(self._request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
        except BaseException:
            writer.transport.abort()
            raise
        if b"connection: close" in head:
            writer.transport.abort()
        else:
            self._idle.append((reader, writer))
        return int(head.split(b" ", 2)[1])

    async def _connection(self) -> Connection:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.transport.abort()
        return await asyncio.open_connection(LOOPBACK, self._port)

    def _count(self, *, good: bool) -> None:
        self.counts = self.counts.plus(RequestCounts(requests=1, bad=not good))
