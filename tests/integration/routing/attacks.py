"""Clients that fill a gateway's memory: uploads over HTTP/1 and HTTP/2 that stop one byte short of their end."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections import Counter
from collections.abc import AsyncIterator, Iterable

PATH = "/models/iris/predict"
CHUNK = 1 << 14
"""The largest frame of HTTP/2 that every server takes."""
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _GOAWAY, _WINDOW = 0, 1, 3, 4, 7, 8
_ACK, _END_HEADERS = 1, 4
_INITIAL_WINDOW = 4


async def upload(port: int, size: int) -> int | None:
    """One upload over HTTP/1 without its last byte. Returns the answer's status, None if the connection was closed."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return None
    try:
        head = f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {size}\r\n\r\n"
        writer.write(head.encode())
        sending = asyncio.create_task(_send(writer, size - 1))
        with contextlib.suppress(OSError):
            line = await reader.readline()
            return int(line.split()[1]) if line else None
        return None
    finally:
        await _end(writer, sending)


async def _send(writer: asyncio.StreamWriter, size: int) -> None:
    with contextlib.suppress(OSError):
        while size > 0:
            writer.write(bytes(min(size, CHUNK)))
            size -= CHUNK
            await writer.drain()


async def _end(writer: asyncio.StreamWriter, sending: asyncio.Task[None]) -> None:
    """Closes the connection at once, and waits until its socket is closed."""
    sending.cancel()
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


class Streams:
    """Uploads over one connection of HTTP/2, all at once, each without its last byte."""

    def __init__(self, streams: int, size: int) -> None:
        self.left = {1 + 2 * number: size - 1 for number in range(streams)}
        """Bytes that each open stream has still to send."""
        self.ended: Counter[str] = Counter()
        self._window, self._initial = 65_535, 65_535
        self._windows = dict.fromkeys(self.left, 65_535)
        self._may_send = asyncio.Event()

    async def run(self, port: int) -> None:
        """Open every stream and send, until the gateway has ended every stream or the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_PREFACE + _frame(_SETTINGS))
        fields = {":method": "POST", ":scheme": "http", ":path": PATH, ":authority": "localhost"}
        for stream in self.left:
            writer.write(_frame(_HEADERS, _END_HEADERS, stream, _fields(fields.items())))
        sending = asyncio.create_task(self._send(writer))
        try:
            async for kind, flags, stream, payload in _frames(reader):
                self._read(kind, flags, stream, payload, writer)
                if not self.left:
                    return
            self.ended["connection"] += len(self.left)
        finally:
            await _end(writer, sending)

    def _read(self, kind: int, flags: int, stream: int, payload: bytes, writer: asyncio.StreamWriter) -> None:
        if kind == _SETTINGS and not flags & _ACK:
            for number, value in struct.iter_unpack(">HI", payload):
                if number == _INITIAL_WINDOW:
                    self._windows = {one: size + value - self._initial for one, size in self._windows.items()}
                    self._initial = value
            writer.write(_frame(_SETTINGS, _ACK))
        elif kind == _WINDOW:
            (size,) = struct.unpack(">I", payload)
            if stream:
                self._windows[stream] = self._windows.get(stream, 0) + size
            else:
                self._window += size
        elif kind in (_RESET, _HEADERS) and self.left.pop(stream, None) is not None:
            self.ended["reset" if kind == _RESET else "answer"] += 1
        self._may_send.set()

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._may_send.clear()
                while stream := next((one for one, left in self.left.items() if self._size(one, left) > 0), 0):
                    size = self._size(stream, self.left[stream])
                    self.left[stream] -= size
                    self._windows[stream] -= size
                    self._window -= size
                    writer.write(_frame(_DATA, 0, stream, bytes(size)))
                    await writer.drain()
                await self._may_send.wait()

    def _size(self, stream: int, left: int) -> int:
        return min(left, CHUNK, self._window, self._windows[stream])


def _frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _fields(fields: Iterable[tuple[str, str]]) -> bytes:
    """Fields as HPACK literals without compression."""
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in fields)


def _text(value: str) -> bytes:
    assert len(value) < 127
    return bytes([len(value)]) + value.encode()


async def _frames(reader: asyncio.StreamReader) -> AsyncIterator[tuple[int, int, int, bytes]]:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while True:
            head = await reader.readexactly(9)
            kind, flags, stream = struct.unpack(">BBI", head[3:])
            yield kind, flags, stream, await reader.readexactly(int.from_bytes(head[:3], "big"))
