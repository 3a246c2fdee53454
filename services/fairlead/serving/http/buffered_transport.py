"""A transport that sends what is written in one turn of the event loop with one system call.

uvicorn writes the head and the body of an answer apart, and uvloop sends each at once: two system calls and two
packets for an answer of 300 bytes. Here they leave together.
"""

from __future__ import annotations

import asyncio
from typing import Any


class Cork:
    """Sends at the end of a turn what its transports hold. One for all connections: one handle, not one an answer."""

    def __init__(self) -> None:
        self._holding: list[Corked] = []

    def hold(self, transport: Corked, loop: asyncio.AbstractEventLoop) -> None:
        """Let `transport` send at the end of this turn of `loop`."""
        if not self._holding:
            loop.call_soon(self._release)
        self._holding.append(transport)

    def _release(self) -> None:
        holding, self._holding = self._holding, []
        for transport in holding:
            transport.flush()


class Corked(asyncio.Transport):
    """A transport in front of the real one; everything but writing and closing is passed on."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, cork: Cork) -> None:
        self._transport = transport
        self._loop = loop
        self._cork = cork
        self._held: list[bytes] = []
        # Called for every request, so bound once.
        self.is_closing = transport.is_closing  # type: ignore[method-assign]
        self.pause_reading = transport.pause_reading  # type: ignore[method-assign]
        self.resume_reading = transport.resume_reading  # type: ignore[method-assign]

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send at the end of this turn."""
        if not self._held:
            self._cork.hold(self, self._loop)
        self._held.append(data if type(data) is bytes else bytes(data))

    def flush(self) -> None:
        """Send what is held now."""
        if self._held:
            held, self._held = self._held, []
            self._transport.write(held[0] if len(held) == 1 else b"".join(held))

    def close(self) -> None:
        """Send what is held, then close."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once; what is held is lost, as with any transport."""
        self._held = []
        self._transport.abort()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the real transport knows."""
        return self._transport.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection to another protocol."""
        self._transport.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who reads this connection."""
        return self._transport.get_protocol()
