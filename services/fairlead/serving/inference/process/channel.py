"""One end of the pipe between the service and the process of its model. A message is its length and that many bytes."""

from __future__ import annotations

import socket
import struct

_LENGTH = struct.Struct("!Q")
_CHUNK = 1 << 20


class Channel:
    """Sends and receives whole messages on a Unix socket. It has no name in a file system, so nothing can be left over.

    Not for several threads at once.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, message: bytes, within_s: float | None = None) -> None:
        """Send one message. Raises TimeoutError after `within_s` seconds, OSError if the other end is closed."""
        self._connection.settimeout(within_s)
        self._connection.sendall(_LENGTH.pack(len(message)) + message)

    def receive(self, within_s: float | None = None) -> bytes:
        """The next message. Raises TimeoutError after `within_s` seconds, EOFError or OSError at the end."""
        self._connection.settimeout(within_s)
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
        return self._read(length)

    def close(self) -> None:
        """Close this end. The other end then receives EOFError."""
        self._connection.close()

    def _read(self, size: int) -> bytes:
        data = self._connection.recv(min(size, _CHUNK))
        if len(data) == size:  # the common case: a small message, whole
            return data
        parts: list[bytes] = []
        while data:
            parts.append(data)
            size -= len(data)
            if not size:
                return b"".join(parts)
            data = self._connection.recv(min(size, _CHUNK))
        raise EOFError("the other end is closed")
