"""Many requests at once over connections of their own, and how each ended: for requests that wait, or are refused."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Ended:
    """One request: the status of its answer (0: none), how long it took in all, how often it was sent."""

    status: int
    seconds: float
    sent: int
    version: str = ""
    code: str = ""
    retry_after: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """A POST of a JSON body to a path of the server at a port on loopback."""

    port: int
    path: str
    body: bytes
    patience_s: float = 60.0
    again: bool = True
    """Send it again when the connection is refused or cut off before an answer."""
    head: bytes = field(init=False)

    def __post_init__(self) -> None:
        lines = (f"POST {self.path} HTTP/1.1", f"host: 127.0.0.1:{self.port}", "content-type: application/json")
        text = "\r\n".join([*lines, f"content-length: {len(self.body)}", "connection: close", "", ""])
        object.__setattr__(self, "head", text.encode())


def ask_together(ask: Ask, count: int, *, at_once: int) -> Sequence[Ended]:
    """Send `count` requests, `at_once` of them at a time."""
    return asyncio.run(_all(ask, count, at_once))


async def _all(ask: Ask, count: int, at_once: int) -> list[Ended]:
    places = asyncio.Semaphore(at_once)

    async def one() -> Ended:
        async with places:
            return await _one(ask)

    return list(await asyncio.gather(*(one() for _ in range(count))))


async def _one(ask: Ask) -> Ended:
    began, sent = time.monotonic(), 0
    while time.monotonic() - began < ask.patience_s:
        sent += 1
        try:
            async with asyncio.timeout(ask.patience_s):
                raw = await _exchange(ask)
        except (OSError, TimeoutError):
            raw = b""
        if raw:
            return _ended(raw, time.monotonic() - began, sent)
        if not ask.again:
            break
        await asyncio.sleep(_PAUSE_S)
    return Ended(0, time.monotonic() - began, sent)


async def _exchange(ask: Ask) -> bytes:
    """The whole answer; empty if the connection ended before it was complete."""
    reader, writer = await asyncio.open_connection("127.0.0.1", ask.port)
    try:
        writer.write(ask.head + ask.body)
        await writer.drain()
        return await reader.read()
    finally:
        writer.close()


def _ended(raw: bytes, seconds: float, sent: int) -> Ended:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status = int(first.split()[1])
    code = str(json.loads(body).get("code", "")) if status >= 400 and body.startswith(b"{") else ""
    version = headers.get("x-model-version", "")
    return Ended(status, round(seconds, 4), sent, version, code, headers.get("retry-after", ""))
