"""One connection of HTTP/1.1: what is no HTTP gets an answer like every other error, and a head has an end."""

from __future__ import annotations

import asyncio
import random
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fairlead.serving.http import corked, endpoint, problems

MAX_HEAD_BYTES = 64 * 1024
"""Of request line and headers; Envoy's own limit is 60 KiB."""
Headers = list[tuple[bytes, bytes]]


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, with a bound on the head and with problem documents."""

    identity: ClassVar[Headers] = []
    _head_bytes = 0  # of a head that has not ended; the parser itself would collect one for ever
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Write through one that sends head and body together."""
        super().connection_made(corked.Corked(transport, self.loop))

    def data_received(self, data: bytes) -> None:
        """Feed the parser; refuse a head that does not end."""
        if self._refused:
            return
        super().data_received(data)
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope:  # the head that began last has ended
            self._head_bytes = 0
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self._refused:
            self._refuse(problems.Problem(431, "head-too-large", f"the head may have {MAX_HEAD_BYTES} bytes"))

    def eof_received(self) -> None:
        """Tell a client that ended its side in the middle of a request; it may still read."""
        cycle = self.cycle
        begun = self.scope is not None and (cycle is None or cycle.scope is not self.scope)
        if begun or (cycle is not None and cycle.more_body and not cycle.response_started):
            self._refuse(problems.Problem(400, "cut-off", "the connection ended before the request did"))
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls where the parser gave up."""
        self._refuse(problems.Problem(400, "not-http", msg))

    def _refuse(self, problem: problems.Problem) -> None:
        """Answer what the application never gets to see, and end the connection."""
        self._refused = True
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and not cycle.more_body:
            cycle.keep_alive = False  # a good request was before it: its answer is the last one here
            return
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(written(problem, self.identity))
        # Closing while the client still writes would reset the connection, and the client would lose the answer.
        self.loop.call_later(endpoint.LINGER_S, self.transport.close)


def identified(identity: Headers) -> type[Connection]:
    """The class for a server whose every answer has these headers; uvicorn wants a class, and makes the objects."""
    return type("Connection", (Connection,), {"identity": identity})


def written(problem: problems.Problem, identity: Headers) -> bytes:
    """A whole answer, as bytes."""
    request_id = f"{random.getrandbits(128):032x}"
    body = problem.body(request_id)
    head = [*problem.head(body)["headers"], *identity, (b"x-request-id", request_id.encode())]
    first = f"HTTP/1.1 {problem.status} {problems.title(problem.status)}".encode()
    lines = [first, *(name + b": " + value for name, value in head)]
    return b"\r\n".join([*lines, b"connection: close", b"", body])
