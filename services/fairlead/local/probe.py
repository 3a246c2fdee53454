"""A small HTTP client for our own processes on loopback."""

from __future__ import annotations

import asyncio
import http.client
from dataclasses import dataclass

from fairlead.local.ports import LOOPBACK


@dataclass(frozen=True, slots=True)
class Reply:
    """The response. `status` is 0 if there was none; `body` then says why."""

    status: int
    body: bytes
    headers: dict[str, str]


def ask(port: int, method: str, path: str, body: bytes | None = None, *, timeout_s: float = 2.0) -> Reply:
    """Send one request and read the whole response. Network and HTTP errors give a Reply with status 0."""
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


async def ask_async(port: int, method: str, path: str, body: bytes | None = None, *, timeout_s: float = 2.0) -> Reply:
    """`ask` for coroutines: it runs on a thread."""
    return await asyncio.to_thread(ask, port, method, path, body, timeout_s=timeout_s)
