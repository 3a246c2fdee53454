"""A service in simulated time: calls of a fixed length, one after the other, for up to `batch` requests each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fairlead.calibration import arrivals
from fairlead.calibration.points import Point, Window, summary

SEED = 7


@dataclass
class SimulatedService:
    """`now` is the clock, in seconds; it moves by the length of each window."""

    call_s: float
    batch: int = 1
    now: float = 0.0
    seed: int = SEED
    windows: int = 0

    def clock(self) -> float:
        """The simulated time."""
        return self.now

    def measure(self, rate: float, seconds: float, goal_s: float, seed: int) -> Point:
        """Answer a window of load, and wait for its last answer."""
        window = self.answered(rate, seconds, seed)
        self.now += window.seconds
        self.windows += 1
        return summary(window)

    def answered(self, rate: float, seconds: float, seed: int = 0) -> Window:
        """The times of a window: each call takes the requests that wait when it begins."""
        due = arrivals.plan(rate, seconds, self.seed + 1000 * seed)
        ends: list[float] = []
        free = 0.0
        while len(ends) < len(due):
            begin = max(free, due[len(ends)])
            waiting = sum(one <= begin for one in due[len(ends) : len(ends) + self.batch])
            free = begin + self.call_s
            ends += [free] * waiting
        last = ends[-1] if ends else seconds
        return Window(rate, due, due, ends, max(last, seconds))


def point(rate: float, p95_s: float, **changed: object) -> Point:
    """A point without failures, whose service answered everything."""
    usual = Point(
        rate=rate,
        requests=1000,
        answered_rate=rate,
        p50_s=p95_s / 2,
        p95_s=p95_s,
        p99_s=p95_s * 1.5,
        service_mean_s=p95_s / 2,
        late_p95_s=0.0,
        generator_share=0.1,
        others_cores=0.0,
        machine_was_full=False,
        cpu_per_request_s=0.001,
        memory_bytes=1 << 20,
        failed={},
        stopped_early=False,
    )
    return replace(usual, **changed)  # type: ignore[arg-type]
