"""How long somebody has watched, by a clock that nobody sets. No I/O of its own.

Windows carry wall-clock time, and that jumps. What a window says about readiness, and how long a step has lasted, is
only ever as much as was really watched: time that passed between two looks, each second in one window at most
(decision 0073).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from math import inf

SLACK_S = 1.0
"""Looks are not taken at the very end of a window. In all, and not for each window, so much may be lent."""


class Watch:
    """Not for several threads at once."""

    def __init__(self, monotonic: Callable[[], float], *, break_s: float) -> None:
        """Two looks further apart than `break_s` did not watch what was between them."""
        self._monotonic = monotonic
        self._break_s = break_s
        self._last: float | None = None
        self._watched = 0.0
        self._placed: dict[str, float] = {}
        self._entered: dict[str, tuple[Hashable, float]] = {}

    def look(self) -> None:
        """Somebody looks now."""
        now = self._monotonic()
        if self._last is not None and now - self._last <= self._break_s:
            self._watched += now - self._last
        self._last = now

    def enter(self, route: str, phase: Hashable) -> float:
        """How long was watched since a route entered this phase; without end where that was before the first look."""
        known, since = self._entered.get(route, (phase, -inf))
        if known != phase:
            since = self._watched
        self._entered[route] = (phase, since)
        return self._watched - since

    def left_s(self, route: str) -> float:
        """What was watched and is in no window of this route yet."""
        return max(0.0, self._left(route))

    def place(self, route: str, seconds: float) -> bool:
        """A window of this route lasted so long: whether it was watched. What is left of it is used up either way."""
        left = self._left(route)
        is_watched = seconds <= left + SLACK_S
        after = left - seconds if is_watched else max(0.0, left - seconds)
        self._placed[route] = self._watched - after
        return is_watched

    def begin(self, route: str) -> None:
        """At rest there are no windows: the first one begins after this."""
        self._placed[route] = self._watched

    def _left(self, route: str) -> float:
        return self._watched - self._placed.setdefault(route, self._watched)
