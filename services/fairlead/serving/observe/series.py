"""The numbers of metrics in shared memory: how they are named, counted, and read by labels."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fairlead.contracts import telemetry
from fairlead.serving.observe.counts import Counts

CAPACITY, NAME_BYTES = 1024, 118
"""The most numbers of one worker, and the bytes of their names."""
SEPARATOR = "\t"
_SUM = "sum"


class Level:
    """A gauge that is read when it is needed, and adds up over the workers."""

    def __init__(self) -> None:
        self._read: Callable[[], float] = float

    def set_function(self, read: Callable[[], float]) -> None:
        """Read it with this function."""
        self._read = read

    def value(self) -> float:
        """The value of this worker now."""
        return self._read()


class Histogram:
    """A histogram in shared memory: one number for each bucket, not cumulative, and the sum."""

    def __init__(self, counts: Counts, bounds: Sequence[float], name: str) -> None:
        self._numbers = counts.numbers
        self._bounds = bounds
        places = [counts.place(f"{name}{SEPARATOR}{part}") for part in (*range(len(bounds) + 1), _SUM)]
        self._at, self._sum = places[0], places[-1]

    @property
    def sum(self) -> float:
        """The sum of all values that this worker has counted."""
        return float(self._numbers[self._sum])

    def observe(self, value: float) -> None:
        """Count one value."""
        self._numbers[self._at + bisect_left(self._bounds, value)] += 1
        self._numbers[self._sum] += value

    def observe_many(self, values: Sequence[float]) -> None:
        """Same as calling `observe` for each value."""
        if len(values) == 1:
            self.observe(values[0])
            return
        numbers, bounds = self._numbers, self._bounds
        # Requests of one moment take about the same time, so few buckets get all values.
        ordered, start = sorted(values), 0
        while start < len(ordered):
            bucket = bisect_left(bounds, ordered[start])
            end = bisect_right(ordered, bounds[bucket]) if bucket < len(bounds) else len(ordered)
            numbers[self._at + bucket] += end - start
            start = end
        numbers[self._sum] += sum(ordered)


class Answered:
    """Answered requests of one protocol and status. `pending` of them are added to the shared memory together."""

    __slots__ = ("_at", "_histogram", "_numbers", "_pending", "_seconds")

    def __init__(self, counts: Counts, name: str, histogram: Histogram, pending: int) -> None:
        self._numbers, self._at = counts.numbers, counts.place(name)
        self._histogram = histogram
        self._pending = pending
        self._seconds: list[float] = []

    def add(self, seconds: float) -> None:
        """One more was answered, after so many seconds."""
        self._seconds.append(seconds)
        if len(self._seconds) >= self._pending:
            self.flush()

    def flush(self) -> None:
        """Add those that are pending."""
        if self._seconds:
            self._numbers[self._at] += len(self._seconds)
            self._histogram.observe_many(self._seconds)
            self._seconds.clear()


@dataclass(frozen=True, slots=True)
class Counted:
    """The buckets of a histogram, not cumulative, and the sum of what was observed."""

    counts: Sequence[float]
    sum: float


def name_of(metric: telemetry.Metric, *labels: str) -> str:
    """The name of a number: the metric's and the values of its labels after the identity, which all have."""
    return SEPARATOR.join((metric.name, *labels))


def of(counted: Mapping[str, float], metric: telemetry.Metric) -> Iterator[tuple[tuple[str, ...], float]]:
    """The labels and values of a metric's numbers."""
    for name, value in counted.items():
        first, *labels = name.split(SEPARATOR)
        if first == metric.name:
            yield tuple(labels), value


def histograms_of(counted: Mapping[str, float], metric: telemetry.Metric) -> dict[tuple[str, ...], Counted]:
    """The histograms of a metric by their labels."""
    parts: dict[tuple[str, ...], dict[str, float]] = {}
    for (*labels, part), value in of(counted, metric):
        parts.setdefault(tuple(labels), {})[part] = value
    size = len(metric.buckets) + 1
    return {
        labels: Counted([found.get(str(at), 0.0) for at in range(size)], found.get(_SUM, 0.0))
        for labels, found in parts.items()
    }
