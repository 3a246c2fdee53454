"""Which rate to measure next: doubles it until the goal is missed, then narrows the knee down."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from fairlead.calibration import knee
from fairlead.calibration.points import Point

CLOSE = 1.04
"""The knee is found when the rate that missed the goal is at most so many times the one that met it."""
FASTER, MUCH_FASTER = 2.0, 4.0
"""How much faster the next rate is, and how much while there is much room."""
UNHURRIED = 2.5
"""There is much room while p95 is at most so many times what one alone takes: some wait for the call before theirs."""
MORE_TRIES = 2
EXPLORING_SHARE = 0.05
NARROWING_SHARE = 0.07
"""Shares of the time that one window takes."""
FEWEST = 60
"""A window has at least so many requests, if they take at most twice its share of the time."""

Measure = Callable[[float, float, float, int], Point]
"""Measures a rate (requests per second) for some seconds, with a goal in seconds: far beyond it, it may stop early. The
last argument is the seed of the arrivals."""


@dataclass(slots=True)
class Sweep:
    """The rates that were measured for one setting of the service."""

    goal_s: float
    alone_s: float
    seconds: float
    """The time that it may take."""
    points: list[Point] = field(default_factory=list)

    @property
    def found(self) -> knee.Knee | None:
        """The knee so far."""
        return knee.find(self.points, self.goal_s)

    def run(self, measure: Measure, clock: Callable[[], float]) -> Iterator[Point]:
        """Measure rate after rate, until the knee is found or the time is up. Yields what was measured.

        A rate that misses the goal is measured again, and once more if the service kept up with it. The best window
        counts: other processes, or arrivals that happen to be close together, may have disturbed the others, and
        nothing makes the service faster than it is.
        """
        end = clock() + self.seconds
        while (window := self.next_window()) is not None and end - clock() > window[1] / 2:
            rate, seconds = window
            point = measure(rate, seconds, self.goal_s, 0)
            for tries in range(MORE_TRIES):
                if knee.is_met(point, self.goal_s) or point.failed or (tries and knee.is_too_slow(point)):
                    break
                if end - clock() > seconds / 2:
                    point = min(point, measure(rate, seconds, self.goal_s, tries + 1), key=self._order)
            self.points.append(point)
            yield point

    def _order(self, point: Point) -> tuple[bool, float, float]:
        return not knee.is_met(point, self.goal_s), point.p95_s, -point.answered_rate

    def next_window(self) -> tuple[float, float] | None:
        """The next rate and its seconds; None when the knee is narrowed down."""
        met = [one for one in self.points if knee.is_met(one, self.goal_s)]
        missed = [one for one in self.points if not knee.is_met(one, self.goal_s)]
        if not missed:
            if not met:
                return self._window(0.5 / self.alone_s, EXPLORING_SHARE)
            last = met[-1]
            hurry = MUCH_FASTER if last.p95_s <= UNHURRIED * self.alone_s else FASTER
            return self._window(last.rate * hurry, EXPLORING_SHARE)
        low = max((one.rate for one in met), default=None)
        if low is None:
            return self._window(min(one.rate for one in missed) / FASTER, EXPLORING_SHARE)
        high = min((knee.bound(one, low) for one in missed if one.rate > low), default=None)
        if high is None:
            return self._window(low * FASTER, EXPLORING_SHARE)
        return None if high / low <= CLOSE else self._window(math.sqrt(low * high), NARROWING_SHARE)

    def _window(self, rate: float, share: float) -> tuple[float, float]:
        seconds = share * self.seconds
        return rate, min(max(seconds, FEWEST / rate), 2 * seconds)
