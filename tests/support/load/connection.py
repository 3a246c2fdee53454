"""A non-blocking keep-alive connection of the generator, with one request at a time."""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import Protocol

import httptools

from support.load.columns import GARBLED, REFUSED, RESET

_CONNECTING = {0, errno.EINPROGRESS}


class Owner(Protocol):
    """Receives the outcome of each request: `answered` with a status, or `broken` with one of `columns.KINDS`."""

    def answered(self, connection: Connection, status: int) -> None: ...
    def broken(self, connection: Connection, kind: int) -> None: ...


class Connection:
    """Sends one request, reads the response, and calls its owner. It is also the parser's callback object."""

    __slots__ = (
        "_owner",
        "_parser",
        "_unsent",
        "body",
        "index",
        "is_connecting",
        "is_refused",
        "keep",
        "revision",
        "since",
        "sock",
        "version",
    )

    def __init__(self, address: tuple[str, int], owner: Owner) -> None:
        self._owner = owner
        self._parser = httptools.HttpResponseParser(self)
        self._unsent = b""
        self.index = -1  # of the request in flight; -1 while idle
        self.since = 0  # when it became idle
        self.is_connecting = True
        self._clear()
        self.sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.is_refused = self.sock.connect_ex(address) not in _CONNECTING

    def _clear(self) -> None:
        self.body: list[bytes] = []
        self.version = self.revision = b""
        self.keep = False

    def begin(self, index: int, request: bytes) -> bool:
        """Start sending a request. True if all of it was sent, False if the socket must become writable first."""
        self.index = index
        self._clear()
        self._unsent = request
        return self.is_writable_now()

    def is_writable_now(self) -> bool:
        """Send the rest of the request. True if all of it was sent."""
        if self.is_connecting:
            problem = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if problem:
                self._owner.broken(self, REFUSED)
                return True
        try:
            sent = self.sock.send(self._unsent)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in (errno.ENOTCONN, errno.EAGAIN):  # still connecting
                return False
            self._owner.broken(self, REFUSED if self.is_connecting else RESET)
            return True
        self.is_connecting = False
        self._unsent = self._unsent[sent:]
        return not self._unsent

    def readable(self) -> None:
        """Read the available data. Calls the owner when the response is complete or the connection is broken."""
        try:
            data = self.sock.recv(262_144)
        except BlockingIOError:
            return
        except OSError:
            self._owner.broken(self, REFUSED if self.is_connecting else RESET)
            return
        if not data:
            self._owner.broken(self, RESET)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError:
            raise  # a bug in this class, not an error of the server
        except httptools.HttpParserError:
            self._owner.broken(self, GARBLED)

    def close(self) -> None:
        """Close the socket. The owner is not called again."""
        with contextlib.suppress(OSError):
            self.sock.close()

    # callbacks of httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        size = len(name)
        if size == 15 and name.lower() == b"x-model-version":
            self.version = value
        elif size == 16 and name.lower() == b"x-route-revision":
            self.revision = value

    def on_body(self, body: bytes) -> None:
        self.body.append(body)

    def on_message_complete(self) -> None:
        self.keep = self._parser.should_keep_alive() and not self._unsent
        self._owner.answered(self, self._parser.get_status_code())
