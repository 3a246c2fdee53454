"""One short HTTP exchange with a process of ours on loopback."""

from __future__ import annotations

import asyncio
import http.client
from dataclasses import dataclass

from fairlead.local.ports import LOOPBACK


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; `status` 0 means that nothing did, and `body` then says why."""

    status: int
    body: bytes
    headers: dict[str, str]


def ask(port: int, method: str, path: str, body: bytes | None = None, *, timeout_s: float = 2.0) -> Reply:
    """Send one request and read the whole reply. Never raises for what the other side does."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout_s)
    headers = {"content-type": "application/json"} if body is not None else {}
    try:
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        text = answer.read()
        return Reply(answer.status, text, {name.lower(): value for name, value in answer.getheaders()})
    except (OSError, http.client.HTTPException) as error:
        return Reply(0, (str(error) or type(error).__name__).encode(), {})
    finally:
        connection.close()


async def ask_soon(port: int, method: str, path: str, body: bytes | None = None, *, timeout_s: float = 2.0) -> Reply:
    """The same from a coroutine: the exchange happens on a thread."""
    return await asyncio.to_thread(ask, port, method, path, body, timeout_s=timeout_s)
