"""Dynamic batching: a bounded queue that puts rows of several requests into one call of the model.

If a worker thread is idle, a batch starts at once. While all threads are busy, rows wait in the queue, and the next
batch takes them together. So an idle service adds no delay and a loaded service fills its batches. There is no timer,
unless the manifest's `max_wait_ms` sets one.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from fairlead import errors
from fairlead.serving.formats.author_code import described
from fairlead.serving.inference import workers
from fairlead.serving.observe import metrics

QUIET_TURNS = 4  # turns of the event loop without a new row before a batch starts; see Batcher._gather
Compute = Callable[[list[Any]], list[Any]]


class Loop(Protocol):
    """The part of an event loop that the batcher uses. Tests pass one with simulated time."""

    def call_soon(self, callback: Callable[..., object], *args: Any) -> asyncio.Handle:
        """Call `callback` in the next turn of the loop."""

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> asyncio.Handle:
        """Call `callback` after `delay` seconds."""

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The maximum size of a batch, the maximum wait for it to fill, and the maximum size of the queue."""

    max_rows: int
    max_wait_s: float
    queue_rows: int
    queue_bytes: int


class Ticket:
    """One request in the batcher. `future` gets its answers, in the order of its rows, or an error."""

    __slots__ = (
        "admitted",
        "answers",
        "client_disconnected",
        "expiry",
        "future",
        "rows",
        "size",
        "taken",
        "unanswered",
    )

    def __init__(self, rows: Sequence[Any], size: int, admitted: float, future: asyncio.Future[list[Any]]) -> None:
        self.rows = rows
        self.size = size
        self.admitted = admitted
        self.future = future
        self.taken = 0  # rows already put into a batch
        self.unanswered = len(rows)  # rows that have no answer yet
        self.answers: list[Any] | None = None  # used only if the request is split
        self.expiry: asyncio.Handle | None = None
        self.client_disconnected = False  # set when the future is cancelled for that reason

    def answer(self, start: int, answers: list[Any]) -> None:
        """Store the answers of the rows from `start` on. When all rows have answers, set the future's result."""
        self.unanswered -= len(answers)
        if self.answers is None:
            if not self.unanswered:  # the common case: the whole request was in one batch
                self.future.set_result(answers)
                return
            self.answers = [None] * len(self.rows)
        self.answers[start : start + len(answers)] = answers
        if not self.unanswered:
            self.future.set_result(self.answers)


class _Part(NamedTuple):
    """The rows of one request that are in one batch. `start` is the index of the first one in the request."""

    ticket: Ticket
    start: int
    rows: Sequence[Any]


Outcome = list[Any] | errors.ModelFailed


class Batcher:
    """Admits requests, forms batches, and returns each request its answers. Call all methods on the event loop only."""

    def __init__(
        self,
        compute: Compute,
        pool: workers.Workers,
        limits: Limits,
        *,
        loop: Loop,
        clock: Callable[[], float],
        meter: metrics.Metrics,
    ) -> None:
        self._compute = compute
        self._pool = pool
        self._limits = limits
        self._loop = loop
        self._clock = clock
        self._meter = meter
        self._queue: deque[Ticket] = deque()
        self._idle = pool.count
        self._wakeup: asyncio.Handle | None = None
        self._wakeup_is_timer = False
        self._row_seconds = 0.0  # moving average of the seconds per row, for Retry-After
        self.queued_rows = 0
        self.queued_bytes = 0

    def submit(self, rows: Sequence[Any], size: int, deadline: float | None = None) -> Ticket:
        """Queue a request of `size` bytes. `deadline` is a time on the batcher's clock.

        Raises Overloaded if the queue is full, and DeadlineExceeded if the deadline has passed.
        """
        now = self._clock()
        if deadline is not None and deadline <= now:
            self._meter.request_dropped("deadline", len(rows))
            raise errors.DeadlineExceeded("the deadline had passed before the request was queued")
        if (
            self.queued_rows + len(rows) > self._limits.queue_rows
            or self.queued_bytes + size > self._limits.queue_bytes
        ):
            self._meter.request_dropped("queue_full", len(rows))
            raise errors.Overloaded(
                f"the queue is full: {self.queued_rows} rows are waiting for the model",
                retry_after_s=self._retry_after(),
            )
        ticket = Ticket(rows, size, now, self._loop.create_future())
        if deadline is not None:
            ticket.expiry = self._loop.call_later(deadline - now, self._expire, ticket)
        self._queue.append(ticket)
        self.queued_rows += len(rows)
        self.queued_bytes += size
        self._wake()
        return ticket

    def give_up(self, ticket: Ticket, reason: str) -> None:
        """Cancel a request. Rows that are not in a batch yet are dropped and counted under `reason`."""
        waiting = len(ticket.rows) - ticket.taken
        if waiting:
            self._meter.request_dropped(reason, waiting)
        self._drop_queued(ticket)
        ticket.future.cancel()

    def _expire(self, ticket: Ticket) -> None:
        if not ticket.future.done():
            self._meter.request_dropped("deadline", len(ticket.rows) - ticket.taken)
            ticket.future.set_exception(errors.DeadlineExceeded("the deadline passed while the request was queued"))
            self._drop_queued(ticket)

    def _drop_queued(self, ticket: Ticket) -> None:
        """Subtract the request's queued rows from the queue size now. `_take` removes the ticket when it reaches it."""
        if ticket.taken < len(ticket.rows):
            self.queued_rows -= len(ticket.rows) - ticket.taken
            self.queued_bytes -= ticket.size
        ticket.rows, ticket.taken = (), 0
        if ticket.expiry is not None:
            ticket.expiry.cancel()

    def _wake(self) -> None:
        """Schedule `_flush` for when the next batch is due. There is at most one handle for all requests."""
        if not self._idle or not self._queue:
            return
        if self._is_due():
            if self._wakeup is not None:
                if not self._wakeup_is_timer:
                    return
                self._wakeup.cancel()
            self._wakeup, self._wakeup_is_timer = self._loop.call_soon(self._gather, 0, 0), False
        elif self._wakeup is None:
            delay = self._queue[0].admitted + self._limits.max_wait_s - self._clock()
            self._wakeup, self._wakeup_is_timer = self._loop.call_later(delay, self._flush), True

    def _is_due(self) -> bool:
        if self._limits.max_wait_s <= 0 or self.queued_rows >= self._limits.max_rows:
            return True
        return self._clock() >= self._queue[0].admitted + self._limits.max_wait_s

    def _gather(self, seen: int, quiet: int) -> None:
        """Let requests that arrive at the same moment share a batch: flush after QUIET_TURNS turns without a new row.

        It counts turns of the loop, not time: on an idle loop, two turns take about ten microseconds. Under load, the
        responses of the last batch are sent in these turns, and the next requests of those clients arrive.
        """
        rows = self.queued_rows
        quiet = quiet + 1 if rows == seen else 0
        if rows < self._limits.max_rows and quiet < QUIET_TURNS and self._limits.max_rows > 1:
            self._wakeup = self._loop.call_soon(self._gather, rows, quiet)
        else:
            self._flush()

    def _flush(self) -> None:
        self._wakeup = None
        while self._idle and self._queue and (parts := self._take()):
            self._idle -= 1
            self._pool.submit(_Batch(parts, self._compute, self._clock, self._meter).run, self._finish)
        self._wake()

    def _take(self) -> list[_Part]:
        """Take the rows of the next batch from the queue. A request is split only if it is larger than a batch.

        The rest of a split request goes to the end of the queue, so that a large request does not block small ones.
        """
        parts: list[_Part] = []
        waits: list[float] = []
        room = self._limits.max_rows
        now = self._clock()
        while self._queue and room:
            ticket = self._queue[0]
            waiting = len(ticket.rows) - ticket.taken
            if not waiting or ticket.future.done():
                self._queue.popleft()
                self._drop_queued(ticket)
                continue
            if waiting > room and parts:
                break
            self._queue.popleft()
            if not ticket.taken:
                waits.append(now - ticket.admitted)
            count = min(waiting, room)
            rows = ticket.rows if count == len(ticket.rows) else ticket.rows[ticket.taken : ticket.taken + count]
            parts.append(_Part(ticket, ticket.taken, rows))
            ticket.taken += count
            self.queued_rows -= count
            room -= count
            if count < waiting:
                self._queue.append(ticket)
            else:
                self.queued_bytes -= ticket.size
                if ticket.expiry is not None:
                    ticket.expiry.cancel()
        if waits:
            self._meter.waited(waits)
        return parts

    def _finish(self, batch: _Batch) -> None:
        self._idle += 1
        self._row_seconds += 0.2 * (batch.seconds / batch.count - self._row_seconds)
        answered = 0
        for part, outcome in zip(batch.parts, batch.outcomes, strict=True):
            if part.ticket.future.done():
                continue
            if isinstance(outcome, errors.ModelFailed):
                self._meter.request_failed(len(part.rows))
                part.ticket.future.set_exception(outcome)
                self._drop_queued(part.ticket)
            else:
                answered += len(outcome)
                part.ticket.answer(part.start, outcome)
        self._meter.rows_answered(answered)
        self._wake()

    def _retry_after(self) -> int:
        seconds = self.queued_rows * self._row_seconds / self._pool.count
        return max(1, min(60, math.ceil(seconds)))


class _Batch:
    """One call of the model on a worker thread. `outcomes` has the answers of each part, or its error."""

    __slots__ = ("_compute", "_meter", "_now", "count", "outcomes", "parts", "seconds")

    def __init__(self, parts: list[_Part], compute: Compute, now: Callable[[], float], meter: metrics.Metrics) -> None:
        self.parts = parts
        self.count = sum(len(part.rows) for part in parts)
        self.seconds = 0.0
        self.outcomes: list[Outcome] = []
        self._compute = compute
        self._now = now
        self._meter = meter

    def run(self) -> _Batch:
        """Call the model and set `outcomes`. Never raises."""
        began = self._now()
        rows = self.parts[0].rows if len(self.parts) == 1 else [row for part in self.parts for row in part.rows]
        answers = self._call(rows)
        if isinstance(answers, errors.ModelFailed) and len(self.parts) > 1:
            # One bad row must fail only its own request, so each request is tried alone.
            self.outcomes = [self._call(part.rows) for part in self.parts]
        elif isinstance(answers, errors.ModelFailed):
            self.outcomes = [answers]
        else:
            start = 0
            for part in self.parts:
                self.outcomes.append(answers[start : start + len(part.rows)])
                start += len(part.rows)
        self.seconds = self._now() - began
        return self

    def _call(self, rows: Sequence[Any]) -> Outcome:
        began = self._now()
        try:
            return self._compute(list(rows))
        except errors.ModelFailed as failure:
            return failure
        except BaseException as cause:  # not even sys.exit() in a model may end the thread: requests would hang
            raised = errors.ModelFailed(
                described(cause) if isinstance(cause, SystemExit) else f"the model's code raised {type(cause).__name__}"
            )
            raised.__cause__ = cause
            return raised
        finally:
            self._meter.batch_computed(len(rows), self._now() - began)
