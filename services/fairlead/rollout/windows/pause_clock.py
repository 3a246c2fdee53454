"""Measures how long pauses last that end by themselves, by a monotonic clock. No I/O of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from math import inf

from fairlead.contracts.revision import State


class PauseClock:
    """The end of each route's pause. Not for several threads at once.

    The wall clock is read once for each pause, when this process first sees it. A clock that is set later changes
    nothing. After a restart of the process, a clock that was set back meanwhile makes the pause start again at most.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """`monotonic` is a clock in seconds that cannot be set."""
        self._monotonic = monotonic
        self._ends: dict[str, tuple[datetime, float]] = {}

    def left_s(self, route: str, state: State, now: datetime) -> float:
        """Seconds until the route's pause ends by itself, 0 if it is over; infinite if it does not end by itself."""
        until = state.paused_until
        if until is None:
            self._ends.pop(route, None)
            return inf
        known, ends = self._ends.get(route, (None, 0.0))
        if known != until:
            longest = inf if state.paused_for is None else state.paused_for
            ends = self._monotonic() + min(max(0.0, (until - now).total_seconds()), longest)
            self._ends[route] = (until, ends)
        return max(0.0, ends - self._monotonic())
