"""One connection of HTTP/1.1: what is no HTTP gets an answer like every other error, and a head has an end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from fairlead.serving.http import buffered_transport, endpoint, exchange, problems
from fairlead.serving.http.fast_path import FastPath

MAX_HEAD_BYTES = 64 * 1024
"""Of request line and headers; Envoy's own limit is 60 KiB."""
Headers = list[tuple[bytes, bytes]]


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, with a bound on the head and with problem documents.

    A request that is all here is offered to the short way before a task is made for it. A connection that is idle has
    one timer, where uvicorn makes one for each answer.
    """

    identity: ClassVar[Headers]
    fast_path: ClassVar[FastPath]
    flush_scheduler: ClassVar[buffered_transport.FlushScheduler]
    _pending_request: tuple[RequestResponseCycle, Any] | None = None  # a request whose head has just ended
    _on_disconnect: Callable[[], None] | None = None  # to call where the client leaves during the short way
    _idle_since: float | None = None
    _idle_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0  # of a head that has not ended; the parser itself would collect one for ever
    _rejected = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Write through one that sends head and body together."""
        super().connection_made(buffered_transport.BufferedTransport(transport, self.loop, self.flush_scheduler))

    def data_received(self, data: bytes) -> None:
        """Feed the parser; refuse a head that does not end."""
        if self._rejected:
            return
        super().data_received(data)
        if self._pending_request is not None:
            pending, self._pending_request = self._pending_request, None
            self._begin(*pending)
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope:  # the head that began last has ended
            self._head_bytes = 0
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self._rejected:
            self._reject(problems.Problem(431, "head-too-large", f"the head may have {MAX_HEAD_BYTES} bytes"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the timer go as well, and the work of a request that nobody waits for."""
        super().connection_lost(exc)
        if self._on_disconnect is not None:
            self._on_disconnect()
        if self._idle_timer is not None:
            self._idle_timer.cancel()

    def on_response_complete(self) -> None:
        """Begin the next request that waits here, or be idle from now on."""
        self._on_disconnect = None
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._begin(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._close_if_idle)

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = None

    def _close_if_idle(self) -> None:
        self._idle_timer = None
        if self._idle_since is None:  # a request is being answered; its end makes a new timer
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._close_if_idle)
        else:
            self.timeout_keep_alive_handler()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # Not yet: the body is often in the same packet, and a request that is all here may go the short way.
        self._pending_request = cycle, app

    def _begin(self, cycle: RequestResponseCycle, app: Any) -> None:
        if cycle.keep_alive and not cycle.more_body and not cycle.waiting_for_100_continue:
            scope: exchange.Scope = cycle.scope  # type: ignore[assignment]
            self._on_disconnect = self.fast_path.begin(scope, bytes(cycle.body), _FastPathReply(self, cycle))
            if self._on_disconnect is not None:
                return
        super()._start_asgi_task(cycle, app)

    def eof_received(self) -> None:
        """Tell a client that ended its side in the middle of a request; it may still read."""
        cycle = self.cycle
        begun = self.scope is not None and (cycle is None or cycle.scope is not self.scope)
        if begun or (cycle is not None and cycle.more_body and not cycle.response_started):
            self._reject(problems.Problem(400, "cut-off", "the connection ended before the request did"))
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls where the parser gave up."""
        self._reject(problems.Problem(400, "not-http", msg))

    def _reject(self, problem: problems.Problem) -> None:
        """Answer what the application never gets to see, and end the connection."""
        self._rejected = True
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and not cycle.more_body:
            cycle.keep_alive = False  # a good request was before it: its answer is the last one here
            return
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(problem_response(problem, self.identity))
        # Closing while the client still writes would reset the connection, and the client would lose the answer.
        self.loop.call_later(endpoint.LINGER_S, self.transport.close)


class _FastPathReply:
    """The answer to one request on the short way."""

    __slots__ = ("_connection", "_cycle", "send")

    def __init__(self, connection: Connection, cycle: RequestResponseCycle) -> None:
        self._connection = connection
        self._cycle = cycle
        self.send: exchange.Send = cycle.send  # type: ignore[assignment]

    def write_response(self, head: bytes, body: bytes) -> bool:
        """Send a 200 in one piece, unless the connection is to close, has closed, or is full."""
        cycle = self._cycle
        if not cycle.keep_alive or cycle.disconnected or cycle.flow.write_paused:
            return False
        date = b"".join([b"%b: %b\r\n" % field for field in cycle.default_headers])
        cycle.response_started = cycle.response_complete = True
        cycle.transport.write(b"HTTP/1.1 200 OK\r\n%b%b%b" % (date, head, body))
        cycle.on_response()
        cycle.on_response = _do_nothing  # it holds the connection, which holds the cycle: no garbage for the collector
        return True

    def start_task(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it as a task that the server's end waits for."""
        task = self._connection.loop.create_task(work)
        self._connection.tasks.add(task)
        task.add_done_callback(self._connection.tasks.discard)


def _do_nothing() -> None:
    """The answer has been counted already."""


def connection_class(identity: Headers, fast_path: FastPath) -> type[Connection]:
    """The class for a server whose every answer has these headers; uvicorn wants a class, and makes the objects."""
    parts = {"identity": identity, "fast_path": fast_path, "flush_scheduler": buffered_transport.FlushScheduler()}
    return type("Connection", (Connection,), parts)


def problem_response(problem: problems.Problem, identity: Headers) -> bytes:
    """A whole answer, as bytes."""
    request_id = f"{random.getrandbits(128):032x}"
    body = problem.body(request_id)
    head = [*problem.head(body)["headers"], *identity, (b"x-request-id", request_id.encode())]
    first = f"HTTP/1.1 {problem.status} {problems.title(problem.status)}".encode()
    lines = [first, *(name + b": " + value for name, value in head)]
    return b"\r\n".join([*lines, b"connection: close", b"", body])
