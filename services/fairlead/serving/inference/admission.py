"""`Admission`: decodes requests and queues their rows. Large ones are decoded beside the event loop, in their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple, Protocol

from fairlead import errors
from fairlead.serving.inference.answer_limit import SLICE_ROWS
from fairlead.serving.inference.batching import Ticket
from fairlead.serving.inference.cache.keys import Keys
from fairlead.serving.inference.contract import Contract
from fairlead.serving.inference.dataplane import DataPlane
from fairlead.serving.inference.side_thread import Job, SideThread

TOO_LATE = "the deadline passed while the request waited to be decoded"

Encode = Callable[[list[Any]], Any]
"""Encodes the answers of a request in the form that its client asked for."""


class DecodedRequest(NamedTuple):
    """A decoded request: its rows, and the function that encodes their answers."""

    rows: list[Any]
    encode: Encode
    memory: int | None = None
    """The bytes that the rows need, where that does not follow from the JSON of the body."""


class Weighed(NamedTuple):
    """A decoded request and the memory of its rows, in bytes."""

    request: DecodedRequest
    memory: int


Watch = Callable[[Job[Any]], AbstractContextManager[None]]
"""Watches the client of a job, as long as the context lasts: cancels its future when the client disconnects."""


class Plane(Protocol):
    """What takes the rows of requests: a `DataPlane`, or its `Explanations`."""

    @property
    def terms(self) -> Contract:
        """What the model accepts and returns."""

    @property
    def clock(self) -> Callable[[], float]:
        """The clock of deadlines, in seconds."""

    @property
    def keys(self) -> Keys | None:
        """Makes the keys of the response cache; None without one."""

    def submit(
        self,
        rows: Sequence[Any],
        size: int,
        deadline: float | None,
        *,
        spilled: bool = False,
        compared: bytes = b"",
    ) -> Ticket:
        """Queue the rows of one request. See `DataPlane.submit`."""

    def give_up(self, ticket: Ticket) -> None:
        """Cancel a request whose client has disconnected."""

    def check_spill(self) -> None:
        """Raise SpillRefused if a spilled request need not even be read."""

    def dropped(self, reason: str) -> None:
        """Count a request that was dropped before its rows were known."""


class Explanations:
    """The part of a data plane that takes requests to explain. None is kept."""

    keys = None

    def __init__(self, plane: DataPlane) -> None:
        self.terms, self.clock = plane.terms, plane.clock
        self.submit, self.give_up = plane.explain, plane.give_up_explanation
        self.check_spill, self.dropped = plane.check_spill, plane.dropped


def _keyed(keys: Keys, decode: Callable[[], Weighed]) -> Weighed:
    """What `decode` returns, with the key of the rows: that of a large request takes too long for the event loop."""
    request, memory = decode()
    return Weighed(request._replace(rows=keys.keyed(request.rows)), memory)


class Admission:
    """Queues the rows of requests of any protocol."""

    def __init__(self, plane: Plane, aside: SideThread) -> None:
        self._plane = plane
        self._aside = aside

    async def beside(
        self,
        decode: Callable[[], Weighed],
        size: int,
        deadline: float | None,
        *,
        spilled: bool = False,
        compared: bytes = b"",
        watch: Watch = lambda _: nullcontext(),
    ) -> tuple[Ticket, Encode]:
        """Decode a body of `size` bytes beside the event loop, in its turn, and queue its rows.

        Raises what `decode` raises, Overloaded, NotReady or DeadlineExceeded; a cancellation if the client disconnects.
        """
        if self._plane.keys is not None and not compared:
            decode = partial(_keyed, self._plane.keys, decode)
        try:
            job = self._aside.decode(decode, size)
            del decode  # the job has it, and the body, until it is decoded
        except errors.Overloaded:
            self._plane.dropped("queue_full")
            raise
        expiry = None
        if deadline is not None:
            left = max(0.0, deadline - self._plane.clock())
            expiry = asyncio.get_running_loop().call_later(left, job.fail, errors.DeadlineExceeded(TOO_LATE))
        try:
            with watch(job):
                (rows, encode, _), memory = await job.result()
        except errors.DeadlineExceeded:
            self._plane.dropped("deadline")
            raise
        except asyncio.CancelledError:
            self._plane.dropped("disconnected")
            raise
        finally:
            if expiry is not None:
                expiry.cancel()
        try:
            ticket = self._plane.submit(rows, 0, deadline, spilled=spilled, compared=compared)
        except errors.FairleadError:
            self._aside.release(memory)
            raise
        ticket.memory = memory
        ticket.future.add_done_callback(lambda _: self._aside.release(memory))
        return ticket, encode

    async def encoded(self, encode: Encode, answers: list[Any]) -> Any:
        """The response with these answers; many are encoded beside the event loop. Raises ModelFailed or Invalid."""
        if len(answers) <= SLICE_ROWS:
            return encode(answers)
        return await self._aside.run(partial(encode, answers))
