"""A small HTTP client for our own processes on loopback."""

from __future__ import annotations

import asyncio
import http.client
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from fairlead.contracts import sockets
from fairlead.local.ports import LOOPBACK

_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Reply:
    """The response. `status` is 0 if there was none; `body` then says why."""

    status: int
    body: bytes
    headers: dict[str, str]


def ask(
    port: int,
    method: str,
    path: str,
    body: bytes | None = None,
    *,
    headers: Mapping[str, str] = _NONE,
    timeout_s: float = 2.0,
) -> Reply:
    """Send one request and read the whole response. Network and HTTP errors give a Reply with status 0."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout_s)
    return _answer(connection, method, path, body, headers)


def ask_socket(socket_path: Path, method: str, path: str, *, timeout_s: float = 2.0) -> Reply:
    """`ask` for a process that listens on a Unix socket."""
    return _answer(SocketConnection(socket_path, timeout_s=timeout_s), method, path, None)


class SocketConnection(http.client.HTTPConnection):
    """An HTTP connection to a Unix socket."""

    def __init__(self, path: Path, *, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Connect. Raises OSError, and Invalid for a path that is too long."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(self.timeout)
            connection.connect(sockets.address(self._path))
        except BaseException:
            connection.close()
            raise
        self.sock = connection


def _answer(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | None,
    headers: Mapping[str, str] = _NONE,
) -> Reply:
    kind = {"content-type": "application/json"} if body is not None else {}
    try:
        connection.request(method, path, body=body, headers={**kind, **headers})
        answer = connection.getresponse()
        text = answer.read()
        return Reply(answer.status, text, {name.lower(): value for name, value in answer.getheaders()})
    except (OSError, http.client.HTTPException) as error:
        return Reply(0, (str(error) or type(error).__name__).encode(), {})
    finally:
        connection.close()


async def ask_async(
    port: int,
    method: str,
    path: str,
    body: bytes | None = None,
    *,
    headers: Mapping[str, str] = _NONE,
    timeout_s: float = 2.0,
) -> Reply:
    """`ask` for coroutines: it runs on a thread."""
    return await asyncio.to_thread(ask, port, method, path, body, headers=headers, timeout_s=timeout_s)
