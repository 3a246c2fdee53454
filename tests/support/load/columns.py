"""What the generator writes down: a few numbers per request, in columns allocated before the run."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

# Outcomes below zero are the generator's own words; all others are HTTP statuses. 0: never sent.
REFUSED, RESET, TIMEOUT, GARBLED, SATURATED, WRONG = -1, -2, -3, -4, -5, -6
KINDS = {
    REFUSED: "refused",  # nobody listens
    RESET: "reset",  # the connection ended before the reply was complete
    TIMEOUT: "timeout",  # no complete reply within the generator's timeout
    GARBLED: "garbled",  # not HTTP
    SATURATED: "saturated",  # the generator has as many connections open as it may: its limit, not the server's
    WRONG: "wrong body",  # a good status with a body that the check refused
}


@dataclass(frozen=True, slots=True)
class Columns:
    """One entry per request, by its index. Times are nanoseconds."""

    scheduled: array[int]
    """When it was due, on the monotonic clock."""
    latency: array[int]
    """From when it was due, not from when it was sent, to the end of the reply."""
    lag: array[int]
    """From when it was due to when it was sent: the generator's own delay."""
    outcome: array[int]
    version: array[int]
    """Index into the names of versions; -1 without the header."""
    revision: array[int]

    @classmethod
    def of(cls, count: int) -> Columns:
        """Room for so many requests."""
        wide, narrow = array("q", [0]) * count, array("h", [0]) * count
        none = array("h", [-1]) * count
        return cls(wide, wide[:], wide[:], narrow, none, none[:])
