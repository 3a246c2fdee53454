"""The users of a rehearsal in real time: requests to the gateway on loopback that do not wait for one another.

They arrive at random, independently of each other, at the scenario's rate, whatever becomes of those before. Bounded
in rate and in how many may be under way: a rehearsal must not become the load test of a laptop.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable

from fairlead.rehearsal.frames import RequestCounts

LOOPBACK = "127.0.0.1"
MOST_RATE = 500.0
"""Requests per second. One process of Python sends no more than some thousand, and others need the machine too."""
MOST_UNDER_WAY = 500
LOOK_S = 0.05
BEHIND_S = 1.0
"""A generator that is later than this was not given the processor: it does not send in a burst what it has missed."""
BODY = b'{"row": 1}'

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class LoadGenerator:
    """Sends until cancelled. `rate` says how many requests per second are due just now."""

    def __init__(
        self, port: int, path: str, *, rate: Callable[[], float], rng: random.Random, timeout_s: float
    ) -> None:
        self._port, self._rate, self._rng, self._timeout_s = port, rate, rng, timeout_s
        head = f"POST {path} HTTP/1.1\r\nhost: {LOOPBACK}\r\ncontent-type: application/json\r\n"
        self._request = f"{head}content-length: {len(BODY)}\r\n\r\n".encode() + BODY
        self._idle: list[Connection] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self.told = RequestCounts()
        """What they saw so far."""

    async def run(self) -> None:
        """Never returns; when it is cancelled, what is under way is given up."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        try:
            while True:
                now, rate = loop.time(), min(self._rate(), MOST_RATE)
                if rate <= 0 or due < now - BEHIND_S:
                    due = now
                if rate <= 0 or due > now:
                    # Looked at often: the rate may change before the next one is due.
                    await asyncio.sleep(LOOK_S if rate <= 0 else min(due - now, LOOK_S))
                    continue
                self._send()
                due += self._rng.expovariate(rate)
                await asyncio.sleep(0)
        finally:
            given_up = list(self._under_way)
            for task in given_up:
                task.cancel()
            await asyncio.gather(*given_up, return_exceptions=True)
            for _, writer in self._idle:
                writer.transport.abort()

    def forget(self) -> None:
        """Count from here on."""
        self.told = RequestCounts()

    def _send(self) -> None:
        if len(self._under_way) >= MOST_UNDER_WAY:
            self._count(good=False)
            return
        task = asyncio.get_running_loop().create_task(self._ask())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _ask(self) -> None:
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
        self.told = self.told.plus(RequestCounts(requests=1, bad=not good))
