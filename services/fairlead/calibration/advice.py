"""What the measured curves say about batching and about autoscaling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fairlead.calibration.knee import Knee, is_met
from fairlead.calibration.points import BUSY_SHARE, Point
from fairlead.contracts.manifest import Batching

SAFETY_SHARE = 2 / 3
"""Share of the requests in flight at the knee that are the target of an autoscaler: the rest is for the time in which a
new pod starts."""
WORTH = 1.2
"""Another setting is recommended only if its knee is so many times that of the manifest's: less may be chance."""
LEAST = 0.1
"""The least target. KEDA and Kubernetes count in thousandths."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What was measured with one setting of batching."""

    batching: Batching
    reason: str
    """Why rows share calls or do not, as `fairlead_model_batching_enabled` gives it."""
    alone_s: float
    """Median of requests that were sent one after the other, in seconds."""
    goal_s: float
    points: Sequence[Point]
    knee: Knee | None

    @property
    def is_sure(self) -> bool:
        """Whether the service was the limit, and not the load generator, another process or the time."""
        return self.knee is not None and not self.knee.missed.says_little

    @property
    def why_unsure(self) -> str:
        """What was the limit instead; empty if the knee is sure."""
        if self.is_sure:
            return ""
        if self.knee is not None:
            slow = self.knee.missed
            at = f"at {slow.rate:,.0f} requests/s"
            if slow.generator_share > BUSY_SHARE:
                return f"the load generator was the limit: it used {slow.generator_share:.0%} of a core {at}"
            return f"other processes used {slow.others_cores:.1f} cores {at}, and kept the load or the model waiting"
        return "the time was up before the goal was missed" if self.highest_met else "no rate met the goal"

    @property
    def what_helps(self) -> str:
        """What makes the number sure; empty if it is."""
        if self.is_sure:
            return ""
        if self.knee is not None:
            is_generator = self.knee.missed.generator_share > BUSY_SHARE
            return "more rows in a request: --rows" if is_generator else "a quiet machine: end what else runs on it"
        return "a longer time: --seconds" if self.highest_met else "a goal that one request alone can meet: --p95"

    @property
    def highest_met(self) -> float:
        """The highest rate that met the goal, in requests per second; 0 if none did."""
        return max((one.rate for one in self.points if is_met(one, self.goal_s)), default=0.0)


def in_flight_at(knee: Knee) -> float:
    """The mean number of requests in flight at the knee, by Little's law: rate times mean time in the service."""
    return knee.rate * knee.met.service_mean_s


def target_in_flight(knee: Knee) -> int | float:
    """The requests in flight for which one pod is enough, with two digits."""
    wanted = max(SAFETY_SHARE * in_flight_at(knee), LEAST)
    found = round(wanted, 1 - math.floor(math.log10(wanted)))
    return int(found) if found.is_integer() else found


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The setting to use, with its knee."""

    curve: Curve
    knee: Knee

    @property
    def target_in_flight(self) -> int | float:
        """The requests in flight for which one pod is enough."""
        return target_in_flight(self.knee)


def recommend(curves: Sequence[Curve]) -> Recommendation | None:
    """What the curves say; None if no knee is sure."""
    found = best(curves)
    return None if found is None or found.knee is None else Recommendation(found, found.knee)


def best(curves: Sequence[Curve]) -> Curve | None:
    """The curve to recommend: the first, which is the manifest's, unless another one's knee is clearly higher.

    Of those that are about as good as the best, it is the one with the fewest rows. None if no knee is sure.
    """
    sure = [one for one in curves if one.is_sure]
    if not sure:
        return None
    most = max(_rate(one) for one in sure)
    first = curves[0]
    if first.is_sure and _rate(first) * WORTH >= most:
        return first
    good = [one for one in sure if _rate(one) * WORTH >= most]
    return min(good, key=lambda one: (one.batching.max_rows, one.batching.max_wait_ms))


def _rate(curve: Curve) -> float:
    return curve.knee.rate if curve.knee is not None else 0.0
