"""Measures how long each route was observed, by a monotonic clock. No I/O of its own.

Windows carry wall-clock time, which can jump. A window's readiness and a step's duration count only time that was
really observed: the time between two ticks, each second in one window at most (decision 0073).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from math import inf

SLACK_S = 1.0
"""Ticks do not happen exactly at a window's end. So many seconds may be borrowed, in all and not for each window."""


class ObservedTime:
    """Observed time, in all and for each route. Not for several threads at once."""

    def __init__(self, monotonic: Callable[[], float], *, break_s: float) -> None:
        """If two ticks are further apart than `break_s`, the time between them was not observed."""
        self._monotonic = monotonic
        self._break_s = break_s
        self._last: float | None = None
        self._observed = 0.0
        self._placed: dict[str, float] = {}
        self._entered: dict[str, tuple[Hashable, float]] = {}

    def tick(self) -> None:
        """A tick happens now."""
        now = self._monotonic()
        if self._last is not None and now - self._last <= self._break_s:
            self._observed += now - self._last
        self._last = now

    @property
    def total_s(self) -> float:
        """Observed seconds since this process began."""
        return self._observed

    def enter(self, route: str, phase: Hashable) -> float:
        """Observed seconds since a route entered this phase; infinite if that was before the first tick."""
        known, since = self._entered.get(route, (phase, -inf))
        if known != phase:
            since = self._observed
        self._entered[route] = (phase, since)
        return self._observed - since

    def left_s(self, route: str) -> float:
        """Observed seconds that are in no window of this route yet."""
        return max(0.0, self._left(route))

    def place(self, route: str, seconds: float) -> bool:
        """Use up a window's seconds. True when all of them were observed; they are used up in either case."""
        left = self._left(route)
        is_observed = seconds <= left + SLACK_S
        after = left - seconds if is_observed else max(0.0, left - seconds)
        self._placed[route] = self._observed - after
        return is_observed

    def reset(self, route: str) -> None:
        """Without a rollout there are no windows: the first one begins after this."""
        self._placed[route] = self._observed

    def _left(self, route: str) -> float:
        return self._observed - self._placed.setdefault(route, self._observed)
