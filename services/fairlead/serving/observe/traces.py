"""Spans of requests that the caller records: one for the request, and below it decode, queue, compute and encode.

The service starts no trace of its own: the gateway decides which requests are recorded, and says so in `traceparent`.
The event loop only notes times; `otlp` makes spans of them on a thread.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

HEADER = b"traceparent"
_recorded = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f][13579bdf]").match
MOST_LINKS = 16
"""The most other requests of a call that its span names."""


class Ticket(Protocol):
    """One request in the queue."""

    @property
    def admitted(self) -> float:
        """When it was queued, on the clock of the batcher."""

    @property
    def rows(self) -> Sequence[Any]:
        """Its rows."""


class Part(Protocol):
    """The rows of one request in a batch."""

    @property
    def ticket(self) -> Ticket:
        """The request."""


class Batch(Protocol):
    """A call of the model that has returned."""

    @property
    def parts(self) -> Sequence[Part]:
        """The parts of requests in it."""

    @property
    def count(self) -> int:
        """The rows of all parts."""

    @property
    def began(self) -> float:
        """When the worker thread took it."""

    @property
    def seconds(self) -> float:
        """How long it took."""


class SpanId(NamedTuple):
    """A span, by its trace and itself, in hexadecimal digits."""

    trace_id: str
    span_id: str


class Call(NamedTuple):
    """One call of the model with rows of a request in it."""

    began: float
    ended: float
    returned: float
    """When the event loop had the answers."""
    rows: int
    """The rows of all requests in it."""
    requests: int
    others: tuple[SpanId, ...]
    """The spans of other recorded requests in it."""


def parent(header: bytes) -> SpanId | None:
    """The caller's span, if the caller records the request."""
    found = _recorded(header)
    if found is None or found[1] == b"0" * 32 or found[2] == b"0" * 16:
        return None
    return SpanId(found[1].decode(), found[2].decode())


class RequestTrace:
    """What is noted of one recorded request. Times are of the tracer's clock."""

    __slots__ = (
        "_ticket",
        "_tracer",
        "admitted",
        "began",
        "calls",
        "ended",
        "method",
        "parent",
        "path",
        "protocol",
        "reason",
        "request_id",
        "rows",
        "span",
        "status",
    )

    def __init__(
        self, tracer: Tracer, caller: SpanId, *, method: str, path: str, protocol: str, request_id: str
    ) -> None:
        self._tracer = tracer
        self.parent = caller
        self.span = SpanId(caller.trace_id, f"{random.getrandbits(64) or 1:016x}")
        self.method, self.path, self.protocol, self.request_id = method, path, protocol, request_id
        self.began = self.ended = tracer.clock()
        self._ticket: Ticket | None = None
        self.admitted: float | None = None  # into the queue
        self.rows = 0
        self.calls: list[Call] = []
        self.status, self.reason = 0, ""

    def queued(self, ticket: Ticket) -> None:
        """Its rows are in the queue."""
        self._ticket, self.admitted, self.rows = ticket, ticket.admitted, len(ticket.rows)
        self._tracer.waiting[ticket] = self

    def stop(self, status: int, reason: str) -> None:
        """The last byte of the response was sent, or (499) the client has disconnected."""
        self.ended = self._tracer.clock()
        self.status, self.reason = status, reason
        if self._ticket is not None:
            self._tracer.waiting.pop(self._ticket, None)
            self._ticket = None  # it has the rows and the answers, and spans may wait long
        self._tracer.finished(self)


class Tracer:
    """Collects recorded requests. Call the methods on the event loop only.

    `finished` gets each request once, when it is answered.
    """

    def __init__(self, clock: Callable[[], float], finished: Callable[[RequestTrace], None]) -> None:
        """`clock` is that of the batcher."""
        self.clock = clock
        self.finished = finished
        self.waiting: dict[Ticket, RequestTrace] = {}

    def keep(self, batch: Batch) -> None:
        """A call of the model has returned. Costs nothing while no recorded request waits."""
        if not self.waiting:
            return
        found = list(dict.fromkeys(one for part in batch.parts if (one := self.waiting.get(part.ticket)) is not None))
        now = self.clock()
        for trace in found:
            others = tuple(other.span for other in found[: MOST_LINKS + 1] if other is not trace)[:MOST_LINKS]
            ended = batch.began + batch.seconds
            trace.calls.append(Call(batch.began, ended, now, batch.count, len(batch.parts), others))
