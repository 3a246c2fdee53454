"""The outermost ASGI middleware: request id, deadline, identity headers, metrics, and handling of unexpected errors.

It wraps the whole application, so requests through the dispatcher and through FastAPI are treated the same and get the
same responses, byte for byte.
"""

from __future__ import annotations

import copy
import logging
import random
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from fairlead import errors
from fairlead.contracts.answers import KEEP_HEADER, REVISION_HEADER, SHADOW_HEADER
from fairlead.serving import problems
from fairlead.serving.inference import lifecycle
from fairlead.serving.inference.batch import Ticket
from fairlead.serving.inference.cache.front import Hit, Waiting
from fairlead.serving.observe import metrics, traces
from fairlead.serving.observe.problem_counts import ProblemCounts
from fairlead.serving.observe.recording import Answered, Recorder
from fairlead.serving.open_inference import binary_form

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

KEY = "fairlead.exchange"
KEEP, SHADOW, REVISION = KEEP_HEADER.encode(), SHADOW_HEADER.encode(), REVISION_HEADER.encode()
CLIENT_CLOSED_REQUEST = 499
CACHE_HIT = (b"fairlead-cache", b"hit")
"""The header of a response whose answers come from the response cache."""
_EXPLAIN = ":explain"
OTHER = "other"  # the protocol label of requests that are not predictions

logger = logging.getLogger(__name__)

# 1 to 128 visible ASCII characters: anything else that a client sends could break a log line or a header.
_valid_id = re.compile(rb"[\x21-\x7e]{1,128}").fullmatch
_valid_revision = re.compile(rb"[a-z0-9-]{1,40}\.[0-9]{1,19}").fullmatch
_trace_id = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}").match


def _joined(given: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The headers with one value each: that of one which occurs twice has both, as HTTP says, and no one is ignored."""
    headers: dict[bytes, bytes] = {}
    for name, value in given:
        headers[name] = b"%b, %b" % (headers[name], value) if name in headers else value
    return headers


class Exchange:
    """One request and its response: the parts that all protocols share. On the ASGI path, the scope has it at `KEY`."""

    __slots__ = (
        "_envelope",
        "_send",
        "content_encoding",
        "content_type",
        "deadline_ms",
        "headers",
        "keep_answer",
        "path",
        "reason",
        "request_id",
        "status",
        "when_queued",
    )

    def __init__(self, envelope: Envelope, scope: Scope, send: Send) -> None:
        self._envelope = envelope
        self._send = send
        self.status = 0
        self.reason = ""
        self.when_queued: Callable[[Ticket], None] | None = None
        self.path: str = scope["path"]
        given = scope["headers"]
        headers: dict[bytes, bytes] = dict(given)
        if len(headers) != len(given):
            headers = _joined(given)
        self.headers = headers
        self.content_type: bytes = headers.get(b"content-type", b"")
        self.content_encoding: bytes = headers.get(b"content-encoding", b"")
        self.deadline_ms: bytes = headers.get(b"x-deadline-ms", b"")
        self.keep_answer: bytes = headers.get(KEEP, b"")
        request_id: bytes = headers.get(b"x-request-id", b"")
        # Must be unique, not secret: the Mersenne Twister is enough and costs a tenth of uuid4.
        self.request_id = (
            request_id if request_id and _valid_id(request_id) else random.getrandbits(128).to_bytes(16).hex().encode()
        )

    # Not looked up for every request.
    @property
    def content_length(self) -> bytes:
        """The header; empty if it is not given."""
        return self.headers.get(b"content-length", b"")

    @property
    def is_mirrored(self) -> bool:
        """Whether the gateway has copied this request for a shadow."""
        return bool(self.keep_answer) and SHADOW in self.headers

    async def send(self, message: Message) -> None:
        """Pass on an ASGI message of the response. Adds the headers that every response has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            head: list[tuple[bytes, bytes]] = message["headers"]
            message["headers"] = [*head, *self._envelope.identity, (b"x-request-id", self.request_id)]
            if self._envelope.state.draining:
                message["headers"].append((b"connection", b"close"))
        await self._send(message)

    def mark_hit(self) -> None:
        """The response says that its answers come from the response cache."""
        self._envelope = self._envelope.of_hits

    def success_head(self, payload: bytes) -> bytes | None:
        """The headers of a 200 response as bytes, the same that `send_answer` sends. None while the service drains."""
        if self._envelope.state.draining:
            return None
        return self._envelope.success_head_template % (len(payload), self.request_id)

    async def send_answer(self, payload: bytes | binary_form.Mixed, send: Send) -> None:
        """Send a 200 response with this body: JSON, or JSON and tensors in binary form."""
        content_type, more = b"application/json", []
        if isinstance(payload, binary_form.Mixed):
            content_type, more = binary_form.CONTENT_TYPE, [(binary_form.HEADER, b"%d" % payload.json_size)]
            payload = payload.body
        headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(payload)), *more]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": payload})

    def deadline(self, now: float) -> float | None:
        """The time at which the client stops waiting, on the clock of `now`. None if not given. Raises Invalid."""
        if not self.deadline_ms:
            return None
        if not self.deadline_ms.isdigit() or len(self.deadline_ms) > 12:
            raise errors.Invalid(
                "x-deadline-ms must be a whole number of milliseconds",
                details=(errors.Detail(("header", "x-deadline-ms"), "must be a whole number", "int_parsing"),),
            )
        return now + int(self.deadline_ms) / 1000

    def problem_of(self, error: Exception) -> problems.Problem:
        """What to tell the client of `error`, which is counted. Errors of the service or the model (500) are logged."""
        problem = problems.of(error)
        self.reason = problem.detail
        self._envelope.count_problem(self.path, error, problem)
        if problem.status == 500:
            log = {"request_id": self.request_id.decode()}
            if match := _trace_id(self.headers.get(b"traceparent", b"")):
                log["trace_id"] = match[1].decode()
            logger.error("request failed: %s", error, exc_info=error, extra=log)
        return problem

    async def send_problem(self, error: Exception, send: Send, *, more_body: bool = False) -> None:
        """Send the problem document for `error`."""
        problem = self.problem_of(error)
        body = problem.body(self.request_id.decode())
        await send(problem.head(body, problems.content_type(self.path)))
        await send({"type": "http.response.body", "body": body, "more_body": more_body})


class Other(NamedTuple):
    """An application for requests of another kind than HTTP's, the exchange that they have, and their label."""

    app: App
    exchange: Callable[[Envelope, Scope, Send], Exchange]
    protocol: str


class Envelope:
    """The outermost ASGI application. Wraps `app`."""

    def __init__(
        self,
        app: App,
        *,
        model: str,
        version: str,
        protocols: dict[str, str],
        state: lifecycle.Lifecycle,
        meter: metrics.Metrics,
        problem_counts: ProblemCounts,
        tracer: traces.Tracer | None = None,
        recorder: Recorder | None = None,
        others: Mapping[bytes, Other] | None = None,
        has_cache: bool = False,
    ) -> None:
        """`tracer` gets the requests whose callers record them; None: there are no spans.
        `recorder` keeps a share of the predictions; None: there is no recording.

        `others`: by content type, what does not answer as HTTP, on paths that HTTP has too.
        """
        self.state = state
        self.model, self.version = model, version
        self._identify((b"x-model-name", model.encode()), (b"x-model-version", version.encode()))
        self._app = app
        self._others = others or {}
        self._protocols = protocols
        self.meter = meter
        self._problem_counts = problem_counts
        self._tracer, self.recorder = tracer, recorder
        self._logs_requests = logger.isEnabledFor(logging.DEBUG)
        self._has_cache = has_cache
        self._watches = self._logs_requests or tracer is not None or recorder is not None or has_cache
        self.in_flight = 0
        meter.in_flight.set_function(lambda: self.in_flight)
        self.of_hits = copy.copy(self)
        """The same for the response to a hit, which has a header more."""
        self.of_hits._identify(*self.identity, CACHE_HIT)

    def _identify(self, *identity: tuple[bytes, bytes]) -> None:
        """These headers are in every response."""
        self.identity = list(identity)
        fields = b"".join(b"%b: %b\r\n" % field for field in identity).replace(b"%", b"%%")
        self.success_head_template = (
            b"content-type: application/json\r\ncontent-length: %d\r\n" + fields + b"x-request-id: %b\r\n\r\n"
        )
        """The headers of a 200 response, with placeholders for its length and request id."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises nothing except a cancellation."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange, app = Exchange(self, scope, send), self._app
        label = None
        if other := self._others.get(exchange.content_type):
            exchange, app, label = other.exchange(self, scope, send), other.app, other.protocol
        scope[KEY] = exchange
        timer = self.begin(scope, exchange, label)
        try:
            await app(scope, receive, exchange.send)
        except Exception as error:
            if exchange.status:  # Starlette has sent a 500 and raises again, for a log line
                logger.error("request failed", exc_info=error, extra={"request_id": exchange.request_id.decode()})
            else:
                await exchange.send_problem(error, exchange.send)
        finally:
            timer.stop(exchange.status or CLIENT_CLOSED_REQUEST)

    def begin(self, scope: Scope, exchange: Exchange, label: str | None = None) -> RequestTimer:
        """Start measuring a request. `label` is the protocol of a prediction, if it is not that of the path."""
        protocol = self._protocols.get(scope["path"], OTHER)
        if label and protocol != OTHER:
            protocol = label
        self.in_flight += protocol != OTHER
        if self._watches:
            return self._watched(protocol, scope["method"], exchange)
        return RequestTimer(self, protocol)

    def _watched(self, protocol: str, method: str, exchange: Exchange) -> RequestTimer:
        """The timer where requests are logged, traced or recorded, or some are hits of the response cache."""
        timer, recorder = self._traced(protocol, method, exchange), self.recorder
        is_prediction = protocol != OTHER and not exchange.path.endswith(_EXPLAIN)
        if recorder is None or not is_prediction or not recorder.takes(exchange.request_id):
            return timer
        return RecordedRequestTimer(timer, exchange, recorder, protocol)

    def _traced(self, protocol: str, method: str, exchange: Exchange) -> RequestTimer:
        if self._has_cache:
            exchange.when_queued = partial(_mark, exchange, None)
        header = exchange.headers.get(traces.HEADER) if self._tracer is not None and protocol != OTHER else None
        timer = (
            LoggedRequestTimer(self, protocol, method, exchange)
            if self._logs_requests
            else RequestTimer(self, protocol)
        )
        if header is None or self._tracer is None or (caller := traces.parent(header)) is None:
            return timer
        trace = traces.RequestTrace(
            self._tracer,
            caller,
            method=method,
            path=exchange.path,
            protocol=protocol,
            request_id=exchange.request_id.decode(),
        )
        exchange.when_queued = partial(_mark, exchange, trace) if self._has_cache else trace.queued
        return TracedRequestTimer(timer, exchange, trace)

    def count_problem(self, path: str, error: Exception, problem: problems.Problem) -> None:
        """Count a prediction that failed."""
        if path in self._protocols:
            self._problem_counts.add(problem.status, problems.without_input(error, problem))


def _mark(exchange: Exchange, trace: traces.RequestTrace | None, ticket: Ticket) -> None:
    """A request of a model with a response cache has its answers, or waits for them."""
    if isinstance(ticket, Hit):
        exchange.mark_hit()
    if trace is not None:
        # The call of the model is that of the first of equal requests.
        trace.queued(ticket.flight.asked if isinstance(ticket, Waiting) and ticket.is_first else ticket)


class RequestTimer:
    """Measures one request from its head to the last byte of its response, for the metrics."""

    __slots__ = ("_began", "_envelope", "_protocol")

    def __init__(self, envelope: Envelope, protocol: str) -> None:
        self._envelope = envelope
        self._protocol = protocol
        self._began = time.perf_counter()  # not the loop's clock: uvloop's has a resolution of one millisecond

    def stop(self, status: int) -> None:
        """Count the request as finished with this status."""
        seconds = time.perf_counter() - self._began
        self._envelope.in_flight -= self._protocol != OTHER
        self._envelope.meter.request_answered(self._protocol, status, seconds)


class TracedRequestTimer(RequestTimer):
    """Also ends the trace of a request."""

    __slots__ = ("_exchange", "_timer", "_trace")

    def __init__(self, timer: RequestTimer, exchange: Exchange, trace: traces.RequestTrace) -> None:
        self._timer, self._exchange, self._trace = timer, exchange, trace

    def stop(self, status: int) -> None:
        """Count the request, and give its times to the tracer."""
        self._timer.stop(status)
        self._trace.stop(status, self._exchange.reason)


class RecordedRequestTimer(RequestTimer):
    """Also records a request whose rows were queued."""

    __slots__ = ("_exchange", "_queued", "_recorder", "_rows", "_ticket", "_timer")

    def __init__(self, timer: RequestTimer, exchange: Exchange, recorder: Recorder, protocol: str) -> None:
        self._timer, self._exchange, self._recorder, self._protocol = timer, exchange, recorder, protocol
        self._began = time.perf_counter()
        self._ticket: Ticket | None = None
        self._rows: Sequence[Any] = ()
        self._queued = exchange.when_queued
        exchange.when_queued = self._keep

    def _keep(self, ticket: Ticket) -> None:
        self._ticket, self._rows = ticket, ticket.rows  # a ticket that fails lets go of them
        if self._queued is not None:
            self._queued(ticket)

    def stop(self, status: int) -> None:
        """Count the request, and give it to the recorder."""
        self._timer.stop(status)
        exchange, ticket, rows = self._exchange, self._ticket, self._rows
        # The exchange and this timer hold each other: its rows would stay until a full collection, which is rare.
        self._ticket, self._rows, exchange.when_queued = None, (), None
        if ticket is None:
            return
        trace = _trace_id(exchange.headers.get(traces.HEADER, b""))
        revision = exchange.headers.get(REVISION, b"")
        answered = Answered(
            exchange.request_id,
            trace[1] if trace else b"",
            revision if _valid_revision(revision) else b"",
            self._protocol,
            SHADOW in exchange.headers,
            status,
            time.perf_counter() - self._began,
            rows,
            ticket.future.result() if status == 200 else None,
        )
        self._recorder.add(answered, ticket)


class LoggedRequestTimer(RequestTimer):
    """Also writes a log line for each request. A class of its own, so that other levels pay nothing for it."""

    __slots__ = ("_exchange", "_method")

    def __init__(self, envelope: Envelope, protocol: str, method: str, exchange: Exchange) -> None:
        super().__init__(envelope, protocol)
        self._method, self._exchange = method, exchange

    def stop(self, status: int) -> None:
        """Count the request, and log it with the reason if it failed."""
        super().stop(status)
        line = {
            "method": self._method,
            "path": self._exchange.path,
            "status": status,
            "ms": round((time.perf_counter() - self._began) * 1000, 1),
            "request_id": self._exchange.request_id.decode(),
        }
        if self._exchange.reason:
            line["reason"] = self._exchange.reason
        logger.debug("request", extra=line)
