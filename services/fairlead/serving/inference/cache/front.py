"""`Front`: answers requests that were asked before, and gives all others to the batcher.

Equal requests of one priority that are asked while the first of them is computed share its call (a flight). Each has a
deadline and a client of its own: the call is given up when nobody waits for it any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from fairlead import errors
from fairlead.serving.inference.answer_limit import SLICE_ROWS
from fairlead.serving.inference.batch import Part, Ticket
from fairlead.serving.inference.batching import TOO_LATE, Batcher, Loop
from fairlead.serving.inference.cache.store import Store
from fairlead.serving.observe import metrics


class KeyOf(Protocol):
    """Makes keys: `keys.Keys`."""

    def of(self, rows: Sequence[Any]) -> bytes | None:
        """The key of a request with these rows; None if it has none."""


class Hit(Ticket):
    """A request that had its answers when it came."""

    __slots__ = ()


class Waiting(Ticket):
    """A request that waits for a flight."""

    __slots__ = ("flight", "is_first")

    def __init__(self, flight: Flight, rows: Sequence[Any], size: int, now: float, future: asyncio.Future[Any]) -> None:
        self.flight = flight
        self.is_first = not flight.waiting
        super().__init__(rows, size, now, future)

    @property
    def memory(self) -> int:
        """The memory of the rows that are computed."""
        return self.flight.asked.memory

    @memory.setter
    def memory(self, size: int) -> None:
        if self.is_first:
            self.flight.asked.memory = size


class Flight:
    """A request that the batcher has, and those that wait for its answers."""

    def __init__(self, key: bytes, priority: int | None, asked: Ticket) -> None:
        self.key = key
        self.of = key, priority
        self.asked = asked
        if asked.expiry is not None:  # the first one's deadline orders the queue, but ends only its own waiting
            asked.expiry.cancel()
            asked.expiry = None
        self.waiting: list[Waiting] = []

    @property
    def is_queued(self) -> bool:
        """Whether rows of it wait for the model."""
        return self.asked.taken < len(self.asked.rows)


@dataclass(frozen=True, slots=True)
class Remembered:
    """A hit in the form of a batch that has ended."""

    parts: tuple[Part]
    outcomes: tuple[list[Any]]
    count: int


class Front:
    """Stands where the batcher stands without a cache. Call all methods on the event loop only."""

    def __init__(
        self,
        batcher: Batcher,
        keys: KeyOf,
        store: Store,
        *,
        encodable: Callable[[list[Any]], object],
        loop: Loop,
        clock: Callable[[], float],
        meter: metrics.Metrics,
        keep: Callable[[Any], None] | None = None,
    ) -> None:
        """`encodable` raises FairleadError for answers that no client could get: they are not kept.

        `keep` is given each hit, as `Remembered`; the batcher gives it the batches.
        """
        self._batcher = batcher
        self._keys = keys
        self._store = store
        self._encodable = encodable
        self._loop = loop
        self._clock = clock
        self._meter = meter
        self._keep = keep
        self._flights: dict[tuple[bytes, int | None], Flight] = {}

    def check_spill(self) -> None:
        """Raise SpillRefused if a spilled request need not even be read."""
        self._batcher.check_spill()

    def submit(self, rows: Sequence[Any], size: int, deadline: float | None = None, spilled: bool = False) -> Ticket:
        """Answer or queue a request, with the arguments and errors of `Batcher.submit`.

        A spilled one is queued in any case: requests of this version must not share what happens to it.
        """
        key = None if spilled or len(rows) > SLICE_ROWS else self._keys.of(rows)
        if key is None:
            self._meter.cache_asked("bypassed")
            return self._batcher.submit(rows, size, deadline, spilled)
        now = self._clock()
        if deadline is not None and deadline <= now:
            return self._batcher.submit(rows, size, deadline)  # raises, and counts the request
        if (answers := self._store.get(key)) is not None:
            return self._hit(rows, size, now, answers)
        priority = getattr(rows, "priority", None)
        flight = self._flights.get((key, priority))
        if flight is None:
            flight = Flight(key, priority, self._batcher.submit(rows, size, deadline))
            flight.asked.future.add_done_callback(partial(self._landed, flight))
            self._flights[flight.of] = flight
            self._meter.cache_asked("miss")
        else:
            self._meter.cache_asked("shared")
        waiting = Waiting(flight, rows, size, now, self._loop.create_future())
        if deadline is not None:
            waiting.expiry = self._loop.call_later(deadline - now, self._expire, waiting)
        flight.waiting.append(waiting)
        return waiting

    def give_up(self, ticket: Ticket, reason: str) -> None:
        """Cancel a request, as `Batcher.give_up`."""
        if isinstance(ticket, Waiting):
            self._leave(ticket, reason)
            ticket.future.cancel()
        else:
            self._batcher.give_up(ticket, reason)

    def _hit(self, rows: Sequence[Any], size: int, now: float, answers: list[Any]) -> Hit:
        hit = Hit(rows, size, now, self._loop.create_future())
        hit.taken, hit.unanswered = len(rows), 0
        hit.future.set_result(answers)
        self._meter.cache_asked("hit")
        self._meter.rows_answered(len(rows))
        if self._keep is not None:
            self._keep(Remembered((Part(hit, 0, rows),), (answers,), len(rows)))
        return hit

    def _expire(self, waiting: Waiting) -> None:
        # As in the batcher, a deadline ends when the model has all rows.
        if waiting.flight.is_queued and not waiting.future.done():
            waiting.future.set_exception(errors.DeadlineExceeded(TOO_LATE))
            self._leave(waiting, "deadline")

    def _leave(self, waiting: Waiting, reason: str) -> None:
        flight = waiting.flight
        if waiting.expiry is not None:
            waiting.expiry.cancel()
        if waiting not in flight.waiting:
            return
        flight.waiting.remove(waiting)
        if flight.waiting:
            self._meter.request_dropped(reason, 0)
        elif flight.is_queued:
            self._forget(flight)
            self._batcher.give_up(flight.asked, reason)

    def _landed(self, flight: Flight, future: asyncio.Future[list[Any]]) -> None:
        self._forget(flight)
        if future.cancelled():  # nobody waits
            return
        error = future.exception()
        if error is None:
            self._remember(flight.key, future.result())
        left = [waiting for waiting in flight.waiting if not waiting.future.done()]
        for waiting in left:
            if waiting.expiry is not None:
                waiting.expiry.cancel()
            if error is None:
                waiting.future.set_result(future.result())
            else:
                waiting.future.set_exception(error)
        if error is None and left:  # the batcher has counted the rows once
            self._meter.rows_answered((len(left) - 1) * len(flight.asked.rows))
        flight.waiting.clear()

    def _remember(self, key: bytes, answers: list[Any]) -> None:
        try:
            self._encodable(answers)
        except errors.FairleadError:
            return
        self._store.put(key, answers)

    def _forget(self, flight: Flight) -> None:
        if self._flights.get(flight.of) is flight:
            del self._flights[flight.of]
