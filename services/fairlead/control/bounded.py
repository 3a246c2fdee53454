"""Answers of instances that are read within a time and a size, whatever the instance sends and however slowly.

The timeout of a connection is that of each packet: alone, it lets an instance that sends one byte a second answer for
ever.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Callable
from typing import Any


def get(
    connection: http.client.HTTPConnection,
    path: str,
    *,
    within_s: float,
    most: int,
    monotonic: Callable[[], float] = time.monotonic,
) -> tuple[int, bytes]:
    """The status and the body of a GET, of which no more than `most` + 1 bytes are read.

    Head and body must be here `within_s` after the request was sent; to connect, with the handshake of TLS, has the
    connection's own timeout for each packet, and is no part of it. Without time left it does not connect. Raises
    OSError (TimeoutError if it takes longer), and HTTPException also if the body ends early.
    """
    if within_s <= 0:
        raise TimeoutError("no time is left")
    if connection.sock is None:
        connection.connect()
    ends_at = monotonic() + within_s

    def left() -> float:
        if (seconds := ends_at - monotonic()) <= 0:
            raise TimeoutError(f"it takes longer than {within_s:g} s")
        return seconds

    class Response(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *arguments: Any, **more: Any) -> None:
            super().__init__(sock, *arguments, **more)
            self.fp.close()
            self.fp = io.BufferedReader(_Timed(sock, left))

    connection.response_class = Response
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read(most + 1)
    if len(body) <= most and response.length:
        raise http.client.IncompleteRead(body, response.length)
    return response.status, body


class _Timed(io.RawIOBase):
    """Reads a socket; each time it waits for no longer than `left`, or than the socket's own timeout."""

    def __init__(self, sock: socket.socket, left: Callable[[], float]) -> None:
        self._sock, self._left, self._timeout_s = sock, left, sock.gettimeout()
        self._raw = sock.makefile("rb", buffering=0)  # it keeps the socket open while this is open

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """As of any raw stream. Raises TimeoutError."""
        seconds = self._left()
        self._sock.settimeout(seconds if self._timeout_s is None else min(seconds, self._timeout_s))
        try:
            return self._raw.readinto(buffer)
        except TimeoutError:
            self._left()
            raise
        finally:
            self._sock.settimeout(self._timeout_s)

    def close(self) -> None:
        """Close it, and so a socket that nothing else uses."""
        self._raw.close()
        super().close()
