"""One HTTP/1.1 connection: limits the size of a request head, and answers invalid HTTP with a problem document."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from fairlead.serving import problems
from fairlead.serving.http import buffered_transport, endpoint, exchange
from fairlead.serving.http.fast_path import FastPath
from fairlead.serving.http.unread import UnreadAnswers

MAX_HEAD_BYTES = 64 * 1024
"""Maximum size of request line and headers. Envoy's own limit is 60 KiB."""
Headers = list[tuple[bytes, bytes]]


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with a size limit for the head, and with problem documents for invalid HTTP.

    A completely received request is offered to the fast path before a task is created for it. A connection has one idle
    timer; uvicorn creates one for each response.
    """

    identity: ClassVar[Headers]
    fast_path: ClassVar[FastPath]
    flush_scheduler: ClassVar[buffered_transport.FlushScheduler]
    max_connections: ClassVar[int]
    unread: ClassVar[UnreadAnswers]
    _pending_request: tuple[RequestResponseCycle, Any] | None = None  # a request whose head has just been received
    _on_disconnect: Callable[[], None] | None = None  # cancels the request that is on the fast path
    _idle_since: float | None = None
    _idle_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0  # received bytes of an incomplete head; the parser has no limit of its own
    _rejected = False
    _parse = HttpToolsProtocol.data_received  # called for every request, and super() takes longer than the call

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Write through a buffered transport, which sends head and body together. Refuse a connection too many."""
        super().connection_made(buffered_transport.BufferedTransport(transport, self.loop, self.flush_scheduler))
        if len(self.connections) > self.max_connections:
            detail = f"this service has {self.max_connections} connections, and takes no more"
            self._reject(problems.Problem(503, "too-many-connections", detail, headers=((b"retry-after", b"1"),)))

    def data_received(self, data: bytes) -> None:
        """Feed the parser. Reject a head that exceeds the limit."""
        if self._rejected:
            return
        self._parse(data)
        if self._pending_request is not None:
            pending, self._pending_request = self._pending_request, None
            self._begin(*pending)
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope:  # the last head is complete
            self._head_bytes = 0
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self._rejected:
            self._reject(
                problems.Problem(431, "head-too-large", f"the request head is larger than {MAX_HEAD_BYTES} bytes")
            )

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the idle timer, and the request that is on the fast path."""
        self.unread.reads(self)
        super().connection_lost(exc)
        if self._on_disconnect is not None:
            self._on_disconnect()
        if self._idle_timer is not None:
            self._idle_timer.cancel()

    def pause_writing(self) -> None:
        """Called by the transport when the kernel takes no more of an answer."""
        super().pause_writing()
        self.unread.paused(self)

    def resume_writing(self) -> None:
        """Called by the transport when it has sent enough of it."""
        super().resume_writing()
        self.unread.reads(self)

    def on_response_complete(self) -> None:
        """Begin the next pipelined request, or start to be idle."""
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

    @property
    def timeout_keep_alive_task(self) -> asyncio.TimerHandle | None:
        """The idle timer, while the connection is idle."""
        return None if self._idle_since is None else self._idle_timer

    @timeout_keep_alive_task.setter
    def timeout_keep_alive_task(self, _: asyncio.TimerHandle | None) -> None:
        """uvicorn sets it once, to None."""

    def end_slow(self) -> None:
        """Answer a client that is too slow with 408 and close; at once, if it has sent nothing or reads no answer."""
        if self.scope is None or self._rejected or self.transport.is_closing():
            self.transport.abort()
            return
        self._reject(problems.Problem(408, "too-slow", "the request was not complete in time; send it faster"))

    def _close_if_idle(self) -> None:
        self._idle_timer = None
        if self._idle_since is None:  # a request is in progress; its end starts a new timer
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._close_if_idle)
        else:
            self.timeout_keep_alive_handler()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # Wait until the packet is parsed: it often holds the body too, and a complete request may take the fast path.
        self._pending_request = cycle, app

    def _begin(self, cycle: RequestResponseCycle, app: Any) -> None:
        if cycle.keep_alive and not cycle.more_body and not cycle.waiting_for_100_continue:
            scope: exchange.Scope = cycle.scope  # type: ignore[assignment]
            self._on_disconnect = self.fast_path.begin(scope, bytes(cycle.body), _FastPathReply(self, cycle))
            if self._on_disconnect is not None:
                return
        super()._start_asgi_task(cycle, app)

    def eof_received(self) -> None:
        """Answer a client that closed its sending side in the middle of a request. It may still read the response."""
        cycle = self.cycle
        begun = self.scope is not None and (cycle is None or cycle.scope is not self.scope)
        if begun or (cycle is not None and cycle.more_body and not cycle.response_started):
            self._reject(problems.Problem(400, "cut-off", "the connection was closed before the request was complete"))
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn if the parser fails."""
        self._reject(problems.Problem(400, "not-http", msg))

    def _reject(self, problem: problems.Problem) -> None:
        """Send a problem document for a request that the application never gets, and close the connection."""
        self._rejected = True
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and not cycle.more_body:
            cycle.keep_alive = False  # a valid request is still in progress: close after its response
            return
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(problem_response(problem, self.identity))
        # Closing while the client still sends would reset the connection, and the client would lose the response.
        self.loop.call_later(endpoint.LINGER_S, self.transport.close)


class _Beginning:
    """The status line of a 200, and the headers that uvicorn gives every response. It makes a new list of them once a
    second."""

    def __init__(self) -> None:
        self.fields: Headers | None = None
        self.text = b""

    def renew(self, fields: Headers) -> None:
        """Take other headers."""
        self.fields = fields
        self.text = b"HTTP/1.1 200 OK\r\n" + b"".join([b"%b: %b\r\n" % field for field in fields])


_beginning = _Beginning()


class _FastPathReply:
    """Sends the response to one request on the fast path. Implements `fast_path.Reply`."""

    __slots__ = ("_connection", "_cycle", "send")

    def __init__(self, connection: Connection, cycle: RequestResponseCycle) -> None:
        self._connection = connection
        self._cycle = cycle
        self.send: exchange.Send = cycle.send  # type: ignore[assignment]

    def write_response(self, head: bytes, body: bytes, timer: exchange.RequestTimer) -> bool:
        """Stop the timer, and send a 200 in one write.

        Returns False, and does neither, if the connection must close or is closed, or the buffer is full.
        """
        cycle = self._cycle
        if not cycle.keep_alive or cycle.disconnected or cycle.flow.write_paused:
            return False
        if cycle.default_headers is not _beginning.fields:
            _beginning.renew(cycle.default_headers)
        cycle.response_started = cycle.response_complete = True
        timer.stop(200)
        transport: buffered_transport.BufferedTransport = cycle.transport  # type: ignore[assignment]
        transport.write_whole(b"".join((_beginning.text, head, body)))
        cycle.on_response()
        cycle.on_response = _do_nothing  # breaks the reference cycle with the connection: no garbage for the collector
        return True

    def start_task(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` as a task. The server waits for it at shutdown."""
        task = self._connection.loop.create_task(work)
        self._connection.tasks.add(task)
        task.add_done_callback(self._connection.tasks.discard)


def _do_nothing() -> None:
    """Replaces `on_response`, which has been called."""


def connection_class(
    identity: Headers, fast_path: FastPath, max_connections: int, unread_bytes: int
) -> type[Connection]:
    """The protocol class for a server whose responses all have these headers. uvicorn creates the objects.

    `unread_bytes` is the most bytes of all answers that clients do not read.
    """
    parts = {
        "identity": identity,
        "fast_path": fast_path,
        "flush_scheduler": buffered_transport.FlushScheduler(),
        "max_connections": max_connections,
        "unread": UnreadAnswers(unread_bytes),
    }
    return type("Connection", (Connection,), parts)


def problem_response(problem: problems.Problem, identity: Headers) -> bytes:
    """A complete HTTP response with the problem document, as bytes."""
    request_id = f"{random.getrandbits(128):032x}"
    body = problem.body(request_id)
    head = [*problem.head(body)["headers"], *identity, (b"x-request-id", request_id.encode())]
    first = f"HTTP/1.1 {problem.status} {problems.title(problem.status)}".encode()
    lines = [first, *(name + b": " + value for name, value in head)]
    return b"\r\n".join([*lines, b"connection: close", b"", body])
