"""Loads of half an hour, and the instances of an oracle that knows them in advance.

All times are those of a real cluster. `played` plays them faster.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from support.autoscaling.samples import Sample, turns

QUIET, BUSY = 1.5, 9.0
NOISE = 0.15
"""Standard deviation of the load around its schedule, as a share of it."""
HALF_HOUR = 1800.0
START_S = 60.0
"""What the start of an instance costs the oracle, too: it is there from the beginning, and ready only after this."""
GOAL = 1.25
"""The most instance-seconds that an autoscaler should need, as a multiple of the oracle's."""
TOLERANCE = 0.1
"""The load above its target by which Kubernetes does not move yet: its own default."""
REACTION_S = 90.0
"""The longest time from a change of the load until all numbers show it: the window of the chart's rules, a minute, and
the 15 s after which KEDA asks Prometheus again, and the 15 s after which Kubernetes asks KEDA."""


@dataclass(frozen=True)
class Schedule:
    """`in_flight` gives the requests in flight of all instances, by the seconds since the schedule began."""

    model: str
    name: str
    in_flight: Callable[[float], float]
    turns: int
    """How often the instances have a reason to change their direction: a spike is one turn down, a next one one up."""
    within: float = GOAL
    """The most instance-seconds that are claimed, as a multiple of the oracle's. Above GOAL, the goal is missed."""
    stable_s: float | None = None
    """The stabilisation before instances are removed; None: the chart's own."""

    def noisy(self, at: float) -> float:
        """The load with noise, which is the same for the same second."""
        if not 0 <= at < HALF_HOUR:
            return 0.0
        drawn = random.Random(f"{self.model} {at:.0f}").gauss(1, NOISE)
        return max(0.0, self.in_flight(at) * drawn)

    def needed(self, at: float, *, per_instance: float, most: int) -> int:
        """The instances that the load needs at this moment."""
        return min(most, max(1, math.ceil(self.in_flight(max(0.0, at)) / per_instance)))


def _day(at: float) -> float:
    return QUIET + (BUSY - QUIET) * (1 - math.cos(2 * math.pi * at / HALF_HOUR)) / 2


def _spikes(at: float) -> float:
    return BUSY if 180 <= at % 900 < 360 else QUIET


def _sawtooth(at: float) -> float:
    return BUSY * (0.5 + 0.5 * (at % 300) / 300)


SPIKES = 2.5
"""An instance that a spike needs stays for ten minutes more. Nobody does that who knows when the next spike comes."""
SCHEDULES = (
    Schedule("day", "up and down once", _day, 1),
    Schedule("sawtooth", "a tooth of 5 minutes, six times", _sawtooth, 0),
    Schedule("spikes", "two spikes of 3 minutes", _spikes, 3, within=SPIKES),
    Schedule("spikes-soon", "the same, stabilised for 5 minutes", _spikes, 3, within=SPIKES, stable_s=300),
)


@dataclass(frozen=True)
class Judged:
    """What the instances did under a schedule. Instance-seconds are instances times the seconds in which they were
    wanted."""

    turns: int
    wanted_seconds: float
    needed_seconds: float
    """Those of the instances that the load needs at each moment."""
    oracle_seconds: float
    missing_seconds: float
    """Those that were missing: not ready, though the load was above the target by more than TOLERANCE."""
    lagging_seconds: float
    """Those that miss whoever wants exactly what the load needs, REACTION_S later."""
    most: int
    lasting: int
    """The most instances that the load needs for START_S together."""

    @property
    def ratio(self) -> float:
        """Instances paid for, as a multiple of the oracle's."""
        return self.wanted_seconds / self.oracle_seconds


def judge(
    schedule: Schedule, samples: Sequence[Sample], *, per_instance: float, most: int, every: float = 5.0
) -> Judged:
    """Compare samples, whose times count from the beginning of the schedule, with the oracle.

    An instance counts as ready START_S after it is wanted.
    """
    wanted = list(_each(samples, every))

    def needed(per_instance: float, later: float = 0.0) -> list[int]:
        moments = (step * every - later for step in range(len(wanted)))
        return [schedule.needed(at, per_instance=per_instance, most=most) for at in moments]

    exactly, at_least = needed(per_instance), needed(per_instance * (1 + TOLERANCE))
    lagging = needed(per_instance * (1 + TOLERANCE), later=REACTION_S)
    return Judged(
        turns(samples),
        sum(wanted) * every,
        sum(exactly) * every,
        oracle(exactly, every),
        _missing(_ready(wanted, every), at_least) * every,
        _missing(_ready(lagging, every), at_least) * every,
        max(wanted),
        max(_ready(at_least, every)),
    )


def _ready(wanted: Sequence[int], every: float) -> list[int]:
    """The instances that are ready at each moment, if each takes START_S."""
    back = math.ceil(START_S / every)
    return [min(wanted[max(0, at - back) : at + 1]) for at in range(len(wanted))]


def _missing(ready: Sequence[int], needed: Sequence[int]) -> int:
    return sum(max(0, need - have) for have, need in zip(ready, needed, strict=True))


def oracle(needed: Sequence[int], every: float) -> float:
    """The fewest instance-seconds of one who knows the load in advance, and never has too few instances.

    Each start costs START_S, so an instance that is needed again sooner stays. `needed` has the instances at each
    moment, `every` seconds apart; those of the first moment are there already.
    """
    total = 0.0
    for instance in range(1, max(needed) + 1):
        used = [step for step, count in enumerate(needed) if count >= instance]
        total += len(used) * every + (START_S if used[0] else 0)
        gaps = (later - earlier - 1 for earlier, later in zip(used, used[1:], strict=False))
        total += sum(min(gap * every, START_S) for gap in gaps)
    return total


def _each(samples: Sequence[Sample], every: float) -> Iterator[int]:
    """How many instances were wanted at each moment of half an hour."""
    at, last = 0, samples[0].wanted
    for step in range(round(HALF_HOUR / every)):
        while at < len(samples) and samples[at].at <= step * every:
            last = samples[at].wanted
            at += 1
        yield last
