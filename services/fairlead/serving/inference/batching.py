"""Dynamic batching: a bounded queue that puts rows of several requests into one call of the model.

If a worker thread is idle, a batch starts at once. While all threads are busy, rows wait in the queue, and the next
batch takes them together. So an idle service adds no delay and a loaded service fills its batches. There is no timer,
unless the manifest's `max_wait_ms` sets one.

A place for calls is lost while a call exceeds its time limit, and while the process that runs the model is replaced.
While all places are lost, nothing waits: queued requests get an error.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fairlead import errors
from fairlead.serving.inference import workers
from fairlead.serving.inference.batch import Batch, Part, late
from fairlead.serving.inference.batch import Compute as Compute
from fairlead.serving.inference.batch import Ticket as Ticket
from fairlead.serving.inference.places import Owner, Places
from fairlead.serving.inference.spill import Spill
from fairlead.serving.observe import metrics

TOO_LATE = "the deadline passed while the request was queued"
QUIET_TURNS = 4  # turns of the event loop without a new row before a batch starts; see Batcher._gather


class Loop(Protocol):
    """The part of an event loop that the batcher uses. Tests pass one with simulated time."""

    def call_soon(self, callback: Callable[..., object], *args: Any) -> asyncio.Handle:
        """Call `callback` in the next turn of the loop."""

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> asyncio.Handle:
        """Call `callback` after `delay` seconds."""

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""


class Queue(Protocol):
    """What the batcher uses of a queue: a part of a deque. It is true if a request may be in it."""

    def __getitem__(self, at: int, /) -> Ticket:
        """The next request; `at` is 0."""

    def __iter__(self) -> Iterator[Ticket]:
        """All requests."""

    def append(self, ticket: Ticket, /) -> None:
        """Add a request."""

    def popleft(self) -> Ticket:
        """Remove the next request."""

    def clear(self) -> None:
        """Remove all requests."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The maximum size of a batch, the maximum wait for it to fill, and the maximum size of the queue.

    `call_s` is the time limit of one call, in seconds. It is infinite if `compute` has a time limit of its own.
    `spill_share` is the share of the time by which the budget of spilled calls grows.
    """

    max_rows: int
    max_wait_s: float
    queue_rows: int
    queue_bytes: int
    call_s: float = math.inf
    spill_share: float = 1.0


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
        owner: Owner,
        keep: Callable[[Batch], None] | None = None,
        places: Places | None = None,
        method: str = "predict",
    ) -> None:
        """`keep` is given each batch that has ended, if there is one. `places` are those of other batchers on the same
        threads; `method` is the one of the model that is called."""
        self._compute = compute
        self._pool = pool
        self._limits = limits
        self._loop = loop
        self._clock = clock
        self._meter = meter
        self._owner = owner
        self._keep = keep
        self._running: set[Batch] = set()
        self._late: list[Batch] = []  # running batches that exceed the time limit
        self._replaced: list[str] = []  # for each process that is being replaced, why it ended
        self.failure: BaseException | None = None
        """Why a process could not be replaced."""
        self._queue: Queue = deque()
        self._places = places or Places(pool.count)
        self._places.join(self)
        self._method = method
        self._wakeup: asyncio.Handle | None = None
        self._wakeup_is_timer = False
        self._spill = Spill(limits.spill_share, pool.count, clock)
        self.queued_rows = 0
        self.queued_bytes = 0

    def check_spill(self) -> None:
        """Raise SpillRefused if a spilled request need not even be read."""
        try:
            self._spill.check()
        except errors.SpillRefused:
            self._meter.request_dropped("spill", 0)
            raise

    def submit(self, rows: Sequence[Any], size: int, deadline: float | None = None, spilled: bool = False) -> Ticket:
        """Queue a request of `size` bytes. `deadline` is a time on the batcher's clock.

        Raises Overloaded if the queue is full, and DeadlineExceeded if the deadline has passed.
        """
        now = self._clock()
        count = len(rows)
        if deadline is not None and deadline <= now:
            self._meter.request_dropped("deadline", count)
            raise errors.DeadlineExceeded("the deadline had passed before the request was queued")
        if self.queued_rows + count > self._limits.queue_rows or (
            self.queued_bytes + size > self._limits.queue_bytes and self.queued_bytes
        ):
            self._meter.request_dropped("queue_full", count)
            raise errors.Overloaded(
                f"the queue is full: {self.queued_rows} rows are waiting for the model",
                retry_after_s=self._retry_after(),
            )
        ticket = Ticket(rows, size, now, self._loop.create_future())
        if deadline is not None:
            ticket.expiry = self._loop.call_later(deadline - now, self._expire, ticket)
        (self._spill.waiting if spilled else self._queue).append(ticket)
        self.queued_rows += count
        self.queued_bytes += size
        if self._wakeup is None or self._wakeup_is_timer:
            self.wake()
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
            ticket.future.set_exception(errors.DeadlineExceeded(TOO_LATE))
            self._drop_queued(ticket)

    def _drop_queued(self, ticket: Ticket) -> None:
        """Subtract the request's queued rows from the queue size now. `_take` removes the ticket when it reaches it."""
        if ticket.taken < len(ticket.rows):
            self.queued_rows -= len(ticket.rows) - ticket.taken
            self.queued_bytes -= ticket.size
        ticket.rows, ticket.taken = (), 0
        if ticket.expiry is not None:
            ticket.expiry.cancel()

    @property
    def has_waiting(self) -> bool:
        """Whether a request waits for a place."""
        return bool(self._queue or self._spill.waiting)

    def wake(self) -> None:
        """Schedule `_flush` for when the next batch is due. There is at most one handle for all requests."""
        if not self._places.free or not (self._queue or self._spill.waiting):
            return
        if self._is_due():
            if self._wakeup is not None:
                if not self._wakeup_is_timer:
                    return
                self._wakeup.cancel()
            self._wakeup, self._wakeup_is_timer = self._loop.call_soon(self._gather, 0, 0), False
        elif self._wakeup is None:
            delay = self._oldest()[0].admitted + self._limits.max_wait_s - self._clock()
            self._wakeup, self._wakeup_is_timer = self._loop.call_later(delay, self._flush), True

    def _is_due(self) -> bool:
        if self._limits.max_wait_s <= 0 or self.queued_rows >= self._limits.max_rows:
            return True
        return self._clock() >= self._oldest()[0].admitted + self._limits.max_wait_s

    def _oldest(self) -> Queue:
        """The queue whose first request has waited longest. A call is for own or for spilled requests, never for both:
        a row that keeps the model busy must not be in a call with rows of others."""
        spilled = self._spill.waiting
        if not spilled or (self._queue and self._queue[0].admitted <= spilled[0].admitted):
            return self._queue
        return spilled

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
        if self._spill.waiting:
            self._refuse_spill()
        while (places := self._places).free and (queue := self._oldest()) and (parts := self._take(queue)):
            places.free -= 1
            batch = Batch(parts, self._compute, self._clock, self._meter)
            self._running.add(batch)
            if queue is self._spill.waiting:
                self._spill.began(batch)
            self._pool.submit(batch.run, self._finish)
        self.wake()
        if self._places.free:
            self._places.offer(self)

    def _take(self, queue: Queue) -> list[Part]:
        """Take the rows of the next batch from the queue. A request is split only if it is larger than a batch.

        The rest of a split request goes to the end of the queue, so that a large request does not block small ones.
        """
        parts: list[Part] = []
        waits: list[float] = []
        room = self._limits.max_rows
        if queue is self._spill.waiting:
            room = min(room, self._spill.most_rows())
        now = self._clock()
        while queue and room:
            ticket = queue[0]
            of = len(ticket.rows)
            waiting = of - ticket.taken
            if not waiting or ticket.future.done():
                queue.popleft()
                self._drop_queued(ticket)
                continue
            if waiting > room and parts:
                break
            queue.popleft()
            if not ticket.taken:
                waits.append(now - ticket.admitted)
            count = waiting if waiting < room else room
            rows = ticket.rows if count == of else ticket.rows[ticket.taken : ticket.taken + count]
            # Part(...) does the same through a function of Python, in twice the time.
            parts.append(tuple.__new__(Part, (ticket, ticket.taken, rows)))
            ticket.taken += count
            self.queued_rows -= count
            room -= count
            if count < waiting:
                queue.append(ticket)
            else:
                self.queued_bytes -= ticket.size
                if ticket.expiry is not None:
                    ticket.expiry.cancel()
        if waits:
            self._meter.waited(waits)
        return parts

    def _finish(self, batch: Batch) -> None:
        self._running.discard(batch)
        self._spill.ended(batch)
        answered = 0
        for part, outcome in zip(batch.parts, batch.outcomes, strict=True):
            ticket, start, _ = part
            if ticket.future.done():
                continue
            if isinstance(outcome, list):
                answered += len(outcome)
                ticket.answer(start, outcome)
            else:
                self._fail(part, outcome)
        self._meter.rows_answered(answered)
        if self._keep is not None:
            self._keep(batch)
        if batch.is_late:
            self._late.remove(batch)
            self._places.lost -= 1
            self._meter.call_late("returned")
            self._owner.places_changed()
        if (ended := batch.process_ended) is None:
            self._places.give_back(self)
        else:
            self._replace_process(ended)

    def _fail(self, part: Part, error: errors.FairleadError) -> None:
        self._meter.request_failed(len(part.rows))
        part.ticket.future.set_exception(error)
        self._drop_queued(part.ticket)

    def check_calls(self) -> None:
        """Fail the requests of calls that exceed the time limit. Call it regularly.

        A thread cannot be ended: its place is lost until the call returns.
        """
        if self._spill.waiting:
            self._refuse_spill()
        since = self._clock() - self._limits.call_s
        for batch in [batch for batch in self._running if batch.called <= since and not batch.is_late]:
            batch.is_late = True
            self._late.append(batch)
            self._places.lost += 1
            self._meter.call_late("timed_out")
            for part in batch.parts:
                if not part.ticket.future.done():
                    self._fail(part, errors.CallTimedOut(late(self._method, self._limits.call_s, batch.count)))
            self._place_lost()

    def _replace_process(self, ended: errors.FairleadError) -> None:
        timed_out = isinstance(ended, errors.CallTimedOut)
        if timed_out:
            self._meter.call_late("timed_out")
        self._meter.process_replaced("timed_out" if timed_out else "ended")
        self._replaced.append(ended.message)
        self._places.lost += 1
        self._pool.submit(self._owner.replace_process, self._process_replaced)
        self._place_lost()

    def _process_replaced(self, failure: BaseException | None) -> None:
        if failure is None:
            self._replaced.pop(0)
            self._places.lost -= 1
        self.failure = failure
        self._owner.places_changed()
        if failure is None:
            self._places.give_back(self)

    def _place_lost(self) -> None:
        self._owner.places_changed()
        if not self.has_place:
            self._places.refuse_waiting(errors.NotReady(self.hanging or self.replacing))

    def refuse_waiting(self, error: errors.Unavailable) -> None:
        """Refuse the requests that wait for a place: none is left."""
        for queue in (self._queue, self._spill.waiting):
            self._refuse(queue, "not_ready", error)

    def _refuse_spill(self) -> None:
        try:
            self._spill.check()
        except errors.SpillRefused as refused:
            self._refuse(self._spill.waiting, "spill", refused)

    def _refuse(self, queue: Queue, reason: str, error: errors.Unavailable) -> None:
        for ticket in queue:
            if not ticket.future.done():
                self._meter.request_dropped(reason, len(ticket.rows) - ticket.taken)
                ticket.future.set_exception(error)
                self._drop_queued(ticket)
        queue.clear()

    @property
    def hanging(self) -> str:
        """Why a place is lost: a call that exceeds the time limit. Empty if there is none."""
        return late(self._method, self._limits.call_s, self._late[0].count) if self._late else ""

    @property
    def replacing(self) -> str:
        """Why a place is lost: a process that ended and is being replaced. Empty if there is none."""
        return f"{self._replaced[0]}; another process loads the model" if self._replaced else ""

    @property
    def has_place(self) -> bool:
        """Whether requests can be answered: not all places are lost."""
        return self._places.lost < self._places.count

    def stacks(self) -> list[str]:
        """The code that each call that exceeds the time limit is executing now."""
        return [batch.stack() for batch in self._late]

    def _retry_after(self) -> int:
        seconds = self.queued_rows * self._spill.row_s / self._pool.count
        return max(1, min(60, math.ceil(seconds)))
