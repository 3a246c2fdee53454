"""The generator's records: a few numbers per request, in columns that are allocated before the run."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

# An outcome above zero is an HTTP status, one below zero is one of these. 0: the request was not sent.
REFUSED, RESET, TIMEOUT, GARBLED, SATURATED, WRONG = -1, -2, -3, -4, -5, -6
KINDS = {
    REFUSED: "refused",  # the connection was refused
    RESET: "reset",  # the connection ended before the response was complete
    TIMEOUT: "timeout",  # no complete response within the generator's timeout
    GARBLED: "garbled",  # the response is not HTTP
    SATURATED: "saturated",  # the generator has reached its own limit of connections
    WRONG: "wrong body",  # an accepted status, with a body that failed the check
}


@dataclass(frozen=True, slots=True)
class Columns:
    """One entry per request, by its index. All times are in nanoseconds."""

    scheduled: array[int]
    """When it was due, on the monotonic clock."""
    latency: array[int]
    """From when it was due, not from when it was sent, to the end of the response."""
    lag: array[int]
    """From when it was due to when it was sent: the delay of the generator itself."""
    outcome: array[int]
    version: array[int]
    """Index into the names of versions; -1 if the response has no version header."""
    revision: array[int]

    @classmethod
    def of(cls, count: int) -> Columns:
        """Columns for `count` requests."""
        wide, narrow = array("q", [0]) * count, array("h", [0]) * count
        none = array("h", [-1]) * count
        return cls(wide, wide[:], wide[:], narrow, none, none[:])
