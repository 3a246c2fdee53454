"""The knee of a curve: the highest rate at which 95 % of the requests are answered within a goal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fairlead.calibration.points import Point

TIMES_ALONE = 10.0
"""Without a goal of its own, a model may take so many times what one request alone takes. Where calls take a fixed time
and are made one after the other (an M/D/1 queue), that is 85 % of the most that can be answered."""

KEPT_UP = 0.95
"""A service that answered less than this share of the requests did not keep up with them."""
BELIEVED_SHARE = 0.9
"""If it answered less than this share of a rate at which it had met the goal, it was disturbed."""
ANSWERED_TIMES = 1.03
"""What a service answers under too much load may be so many times what was counted: a window begins and ends."""
LEAST_GOAL_S = 0.01
"""Nobody waits for less, and below it the scheduler of the system decides, not the model."""


@dataclass(frozen=True, slots=True)
class Knee:
    """The highest rate that met the goal, and the lowest above it that did not. Rates are requests per second."""

    rate: float
    """Where the curve between the two crosses the goal."""
    met: Point
    missed: Point

    @property
    def spread(self) -> float:
        """How far the rate may be off, as a share: what was measured below and above are its bounds."""
        return max(abs(self.rate - self.met.rate), abs(bound(self.missed, self.met.rate) - self.rate)) / self.rate


def goal(asked_s: float | None, alone_s: float) -> float:
    """The goal in seconds. `alone_s` is the median of requests that were sent one after the other."""
    return asked_s if asked_s is not None else max(TIMES_ALONE * alone_s, LEAST_GOAL_S)


def is_met(point: Point, goal_s: float) -> bool:
    """Whether the service kept up with a rate: no request failed, none was left, and the latency is within the goal."""
    return not point.failed and not point.stopped_early and point.p95_s <= goal_s


def bound(missed: Point, met_rate: float) -> float:
    """A rate that is too much, from one that missed the goal: what was answered of it per second, or the rate itself.

    A service that answered less than at a lower rate was disturbed: then it is no bound.
    """
    most = ANSWERED_TIMES * missed.answered_rate
    return most if met_rate < most < missed.rate else missed.rate


def find(points: Sequence[Point], goal_s: float) -> Knee | None:
    """The knee; None while no rate met the goal, or none above missed it."""
    met = max((one for one in points if is_met(one, goal_s)), key=lambda one: one.rate, default=None)
    if met is None:
        return None
    above = [one for one in points if one.rate > met.rate]
    missed = min(above, key=lambda one: one.rate, default=None)
    if missed is None:
        return None
    most = max((one.answered_rate for one in points if is_too_slow(one)), default=math.inf)
    # A short window may meet the goal at a little more than the service can answer for long.
    rate = _crossing(met, missed, goal_s)
    return Knee(min(rate, most) if most > BELIEVED_SHARE * met.rate else rate, met, missed)


def is_too_slow(point: Point) -> bool:
    """Whether the service did not keep up with the rate: what it answered then is the most that it can."""
    return point.answered_rate < KEPT_UP * point.rate


def _crossing(met: Point, missed: Point, goal_s: float) -> float:
    """Latency grows about exponentially with the rate near the knee, so its logarithm is interpolated."""
    most = bound(missed, met.rate)
    if not 0 < met.p95_s < missed.p95_s < math.inf or missed.p95_s <= goal_s:
        return (met.rate + most) / 2
    share = math.log(goal_s / met.p95_s) / math.log(missed.p95_s / met.p95_s)
    return min(met.rate + share * (missed.rate - met.rate), most)
