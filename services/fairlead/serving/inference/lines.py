"""`OrderedBatcher`: the batcher for models whose requests do not wait in one queue.

Requests wait in lines: those whose rows can become one array together are in one line, and a call takes rows of one
line only. A line is served by its first request. Of two requests the one with the better priority comes first, then the
one whose deadline comes first. A request without a deadline counts as one with `PATIENCE_S`. A request whose time is
over comes before all others, so that none waits for ever.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from fairlead import errors
from fairlead.contracts.manifest import Manifest
from fairlead.serving.formats import padding
from fairlead.serving.inference.batch import Ticket
from fairlead.serving.inference.batching import Batcher, Queue

PATIENCE_S = 10.0
"""How long a request without a deadline waits before it comes before all others."""
LINES = 64
"""The most lines. With more shapes than that, some share a line, and the model gets rows of several in one call."""
PARAMETER = "priority"
"""The parameter of the Open Inference Protocol with a request's priority."""
LineOf = Callable[[Sequence[Any]], int]
"""The number of the line for the rows of a request, below `LINES`."""


class Ranked(list[Any]):
    """The rows of a request that has a priority; 0 is the first."""

    priority = 0


def ranked(rows: Sequence[Any], asked: Any, levels: int) -> Ranked:
    """The rows with the priority that a request asks for: 1 is the first, and 0 or None the last of `levels`.

    Raises Invalid.
    """
    if asked is not None and not (type(asked) is int and 0 <= asked <= levels):
        message = f"must be a whole number from 1, which is served first, to {levels}; 0 is the same as {levels}"
        raise errors.Invalid.at(("body", "parameters", PARAMETER), message, PARAMETER)
    found = Ranked(rows)
    found.priority = (asked or levels) - 1
    return found


def line_of(manifest: Manifest) -> LineOf | None:
    """How the rows of this model are divided among lines. None: there is one line."""
    names = padding.separate(manifest.inputs)
    return partial(_by_shape, names) if names else None


def _by_shape(names: Sequence[str], rows: Sequence[Any]) -> int:
    shapes = {tuple(padding.sizes(getattr(row, name)) for name in names) for row in rows}
    return hash(frozenset(shapes)) % LINES


_Entry = tuple[float, int, Ticket]
"""A waiting request: by when it should be served, its number, which tells equal ones apart, and itself."""


class Line:
    """Requests whose rows may share a call, in the form of the queue that the batcher takes rows from."""

    def __init__(self, levels: int, numbers: Iterator[int], clock: Callable[[], float]) -> None:
        self._levels: list[list[_Entry]] = [[] for _ in range(levels)]
        self._numbers = numbers
        self._clock = clock
        self._taken = 0, 0.0  # the priority of the request that was removed last, and by when it should be served

    def add(self, ticket: Ticket, level: int, due: float) -> None:
        """Add a request of this priority."""
        heapq.heappush(self._levels[level], (due, next(self._numbers), ticket))

    def append(self, ticket: Ticket, /) -> None:
        """Put back the request that was removed last: a part of it was taken, and it lets others go first."""
        level, due = self._taken
        self.add(ticket, level, max(due, self._clock() + PATIENCE_S))

    def rank(self) -> tuple[int, float, int, int]:
        """What the next request is compared by: its priority, -1 if its time is over, its deadline and its number. And
        the heap that it is in. There must be one."""
        now = self._clock()
        return min(
            (-1 if entries[0][0] <= now else level, entries[0][0], entries[0][1], level)
            for level, entries in enumerate(self._levels)
            if entries
        )

    def popleft(self) -> Ticket:
        """Remove the next request."""
        *_, level = self.rank()
        due, _, ticket = heapq.heappop(self._levels[level])
        self._taken = level, due
        return ticket

    def __getitem__(self, at: int, /) -> Ticket:
        """The next request; `at` is 0."""
        *_, level = self.rank()
        return self._levels[level][at][2]

    def __iter__(self) -> Iterator[Ticket]:
        return (ticket for entries in self._levels for _, _, ticket in entries)

    def __bool__(self) -> bool:
        """Whether a request waits. Those that have been dropped are removed from the front."""
        for entries in self._levels:
            while entries and not entries[0][2].rows:
                heapq.heappop(entries)
        return any(self._levels)

    def clear(self) -> None:
        """Remove all requests."""
        for entries in self._levels:
            entries.clear()


class Lines:
    """All lines of own requests."""

    def __init__(self, of: LineOf | None, levels: int, clock: Callable[[], float]) -> None:
        self._of = of
        self._last = levels - 1
        self._clock = clock
        self._lines: dict[int, Line] = {}
        self._numbers = itertools.count()
        self.deadline: float | None = None
        """That of the request that is added next."""

    def append(self, ticket: Ticket, /) -> None:
        """Add a request, with `deadline`."""
        due = ticket.admitted + PATIENCE_S if self.deadline is None else self.deadline
        number = self._of(ticket.rows) if self._of is not None else 0
        line = self._lines.get(number)
        if line is None:
            line = self._lines[number] = Line(self._last + 1, self._numbers, self._clock)
        line.add(ticket, getattr(ticket.rows, "priority", self._last), due)

    def first(self) -> Line | None:
        """The line that is served next; None if nobody waits."""
        waiting = {number: line for number, line in self._lines.items() if line}
        self._lines = waiting
        return min(waiting.values(), key=Line.rank, default=None)

    def __bool__(self) -> bool:
        return any(self._lines.values())

    def __iter__(self) -> Iterator[Ticket]:
        return (ticket for line in self._lines.values() for ticket in line)

    def clear(self) -> None:
        """Remove all requests."""
        self._lines.clear()

    def __getitem__(self, at: int, /) -> Ticket:
        """A request of the line that is served next."""
        line = self.first()
        assert line is not None
        return line[at]

    def popleft(self) -> Ticket:
        """Remove the next request."""
        line = self.first()
        assert line is not None
        return line.popleft()


class OrderedBatcher(Batcher):
    """A batcher whose own requests wait in lines. Spilled ones have a queue of their own, as usual."""

    def __init__(self, *given: Any, of: LineOf | None, levels: int, **more: Any) -> None:
        """`of` divides requests among lines; None: there is one. The other arguments are those of `Batcher`."""
        super().__init__(*given, **more)
        self._queue = self._lines = Lines(of, levels, self._clock)

    def submit(self, rows: Sequence[Any], size: int, deadline: float | None = None, spilled: bool = False) -> Ticket:
        """Queue a request, as `Batcher.submit`."""
        self._lines.deadline = deadline
        return super().submit(rows, size, deadline, spilled)

    def _oldest(self) -> Queue:
        line, spilled = self._lines.first(), self._spill.waiting
        if line is None or (spilled and spilled[0].admitted < line[0].admitted):
            return spilled
        return line
