"""`BufferedTransport`: sends everything that is written in one turn of the event loop with one system call.

uvicorn writes the head and the body of a response separately, and uvloop sends each write at once: two system calls and
two packets for a response of 300 bytes. This transport sends them together.
"""

from __future__ import annotations

import asyncio
from typing import Any


class FlushScheduler:
    """Flushes transports at the end of a loop turn. All connections share one, so a turn needs one handle."""

    def __init__(self) -> None:
        self._pending: list[BufferedTransport] = []

    def schedule(self, transport: BufferedTransport, loop: asyncio.AbstractEventLoop) -> None:
        """Flush `transport` at the end of this turn of `loop`."""
        if not self._pending:
            loop.call_soon(self._flush_all)
        self._pending.append(transport)

    def _flush_all(self) -> None:
        pending, self._pending = self._pending, []
        for transport in pending:
            transport.flush()


class BufferedTransport(asyncio.Transport):
    """Wraps the real transport. Buffers writes and flushes before closing; all other calls are passed on."""

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, scheduler: FlushScheduler
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._scheduler = scheduler
        self._buffer: list[bytes] = []
        # These are called for every request, so they are bound once.
        self.is_closing = transport.is_closing  # type: ignore[method-assign]
        self.pause_reading = transport.pause_reading  # type: ignore[method-assign]
        self.resume_reading = transport.resume_reading  # type: ignore[method-assign]

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Buffer `data` and send it at the end of this turn."""
        if not self._buffer:
            self._scheduler.schedule(self, self._loop)
        self._buffer.append(data if type(data) is bytes else bytes(data))

    def write_whole(self, data: bytes) -> None:
        """Send `data` now, after what is buffered: a response in one piece has nothing to wait for."""
        if self._buffer:
            self.flush()
        self._transport.write(data)

    def flush(self) -> None:
        """Send the buffered data now."""
        if self._buffer:
            buffered, self._buffer = self._buffer, []
            self._transport.write(buffered[0] if len(buffered) == 1 else b"".join(buffered))

    def close(self) -> None:
        """Send the buffered data, then close."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once. The buffered data is discarded, as with any transport."""
        self._buffer = []
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        """The bytes that are not sent yet."""
        return self._transport.get_write_buffer_size() + sum(map(len, self._buffer))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """The extra info of the real transport."""
        return self._transport.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection to another protocol."""
        self._transport.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol of this connection."""
        return self._transport.get_protocol()
