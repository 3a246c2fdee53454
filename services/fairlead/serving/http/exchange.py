"""The envelope around every request: id, deadline, identity headers, metrics, and the last resort for errors.

It wraps the whole application, so that the fast way and FastAPI's have all of it, and it is the same bytes.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fairlead import errors
from fairlead.contracts.answers import KEEP_HEADER, SHADOW_HEADER
from fairlead.serving.http import problems
from fairlead.serving.inference import lifecycle
from fairlead.serving.observe import metrics

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

KEY = "fairlead.exchange"
KEEP, SHADOW = KEEP_HEADER.encode(), SHADOW_HEADER.encode()
CLIENT_CLOSED_REQUEST = 499
OTHER = "other"  # the protocol of what is no prediction

logger = logging.getLogger(__name__)

# One or more visible ASCII characters, at most 128: whatever else a client sends could break a log or a header.
_valid_id = re.compile(rb"[\x21-\x7e]{1,128}").fullmatch
_trace_id = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}").match


class Exchange:
    """One request and its answer, as far as every protocol shares it. In the scope under `KEY`."""

    __slots__ = (
        "_envelope",
        "_send",
        "content_length",
        "content_type",
        "deadline_ms",
        "is_mirrored",
        "keep_answer",
        "request_id",
        "status",
        "trace",
    )

    def __init__(self, envelope: Envelope, scope: Scope, send: Send) -> None:
        self._envelope = envelope
        self._send = send
        self.status = 0
        headers = dict(scope["headers"])  # a name given twice: the last counts
        self.content_type: bytes = headers.get(b"content-type", b"")
        self.content_length: bytes = headers.get(b"content-length", b"")
        self.deadline_ms: bytes = headers.get(b"x-deadline-ms", b"")
        self.trace: bytes = headers.get(b"traceparent", b"")
        self.keep_answer: bytes = headers.get(KEEP, b"")
        self.is_mirrored = bool(self.keep_answer) and SHADOW in headers
        request_id: bytes = headers.get(b"x-request-id", b"")
        # Not a secret, only unlike others: the Mersenne twister is enough and costs a fifth of uuid4.
        self.request_id = request_id if request_id and _valid_id(request_id) else b"%032x" % random.getrandbits(128)

    async def send(self, message: Message) -> None:
        """Pass on a message of the answer; its head gets the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            head: list[tuple[bytes, bytes]] = message["headers"]
            message["headers"] = [*head, *self._envelope.identity, (b"x-request-id", self.request_id)]
            if self._envelope.state.draining:
                message["headers"].append((b"connection", b"close"))
        await self._send(message)

    def success_head(self, payload: bytes) -> bytes | None:
        """The headers of a good answer, as bytes, as `answer` sends them; None while the service drains."""
        if self._envelope.state.draining:
            return None
        return self._envelope.success_head_template % (len(payload), self.request_id)

    async def send_answer(self, payload: bytes, send: Send) -> None:
        """Send a good answer."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(payload))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": payload})

    def deadline(self, now: float) -> float | None:
        """When the caller stops waiting, on the clock that gave `now`; None where it did not say. Raises Invalid."""
        if not self.deadline_ms:
            return None
        if not self.deadline_ms.isdigit() or len(self.deadline_ms) > 12:
            raise errors.Invalid(
                "x-deadline-ms must be a whole number of milliseconds",
                details=(errors.Detail(("header", "x-deadline-ms"), "must be a whole number", "int_parsing"),),
            )
        return now + int(self.deadline_ms) / 1000

    async def send_problem(self, error: Exception, send: Send, *, more_body: bool = False) -> None:
        """Answer with the problem for `error`; what is the service's or the model's fault goes to the log."""
        problem = problems.of(error)
        if problem.status == 500:
            log = {"request_id": self.request_id.decode()}
            if match := _trace_id(self.trace):
                log["trace_id"] = match[1].decode()
            logger.error("request failed: %s", error, exc_info=error, extra=log)
        body = problem.body(self.request_id.decode())
        await send(problem.head(body))
        await send({"type": "http.response.body", "body": body, "more_body": more_body})


class Envelope:
    """The outermost application."""

    def __init__(
        self,
        app: App,
        *,
        model: str,
        version: str,
        protocols: dict[str, str],
        state: lifecycle.Lifecycle,
        meter: metrics.Metrics,
    ) -> None:
        self.state = state
        self.model, self.version = model, version
        self.identity = [(b"x-model-name", model.encode()), (b"x-model-version", version.encode())]
        identity = b"".join(b"%b: %b\r\n" % field for field in self.identity).replace(b"%", b"%%")
        self.success_head_template = (
            b"content-type: application/json\r\ncontent-length: %d\r\n" + identity + b"x-request-id: %b\r\n\r\n"
        )
        """Of a good answer, short of its length and request id."""
        self._app = app
        self._protocols = protocols
        self._meter = meter
        self.in_flight = 0
        meter.in_flight.set_function(lambda: self.in_flight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; never raises, except to pass on a cancellation."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        timer = self.begin(scope)
        exchange = scope[KEY] = Exchange(self, scope, send)
        try:
            await self._app(scope, receive, exchange.send)
        except Exception as error:
            if exchange.status:  # Starlette answers with a 500 and raises again, for a log line
                logger.error("request failed", exc_info=error, extra={"request_id": exchange.request_id.decode()})
            else:
                await exchange.send_problem(error, exchange.send)
        finally:
            timer.stop(exchange.status or CLIENT_CLOSED_REQUEST)

    def begin(self, scope: Scope) -> RequestTimer:
        """Count a request from now on."""
        protocol = self._protocols.get(scope["path"], OTHER)
        self.in_flight += protocol != OTHER
        return RequestTimer(self, protocol)

    def end(self, protocol: str, status: int, seconds: float) -> None:
        """Count the answer of a request that had begun."""
        self.in_flight -= protocol != OTHER
        self._meter.request_answered(protocol, status, seconds)


class RequestTimer:
    """One request in the metrics, from its head to its last byte."""

    __slots__ = ("_began", "_envelope", "_protocol")

    def __init__(self, envelope: Envelope, protocol: str) -> None:
        self._envelope = envelope
        self._protocol = protocol
        self._began = time.perf_counter()  # not the loop's clock: uvloop's counts whole milliseconds

    def stop(self, status: int) -> None:
        """The request has ended so."""
        self._envelope.end(self._protocol, status, time.perf_counter() - self._began)
