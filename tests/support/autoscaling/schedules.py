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
        return min(most, max(1, math.ceil(self.in_flight(at) / per_instance)))


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
    """What the instances did under a schedule. Seconds are instances times the seconds in which they were wanted."""

    turns: int
    wanted_seconds: float
    needed_seconds: float
    """Those of the instances that the load needs at each moment."""
    oracle_seconds: float
    short_seconds: float
    """Seconds in which fewer instances were ready than the load needs, if a new one takes START_S."""

    @property
    def ratio(self) -> float:
        """Instances paid for, as a multiple of the oracle's."""
        return self.wanted_seconds / self.oracle_seconds


def judge(
    schedule: Schedule, samples: Sequence[Sample], *, per_instance: float, most: int, every: float = 5.0
) -> Judged:
    """Compare samples, whose times count from the beginning of the schedule, with the oracle."""
    wanted = list(_each(samples, every))
    needed = [schedule.needed(step * every, per_instance=per_instance, most=most) for step in range(len(wanted))]
    back = math.ceil(START_S / every)
    ready = [min(wanted[max(0, at - back) : at + 1]) for at in range(len(wanted))]
    return Judged(
        turns(samples),
        sum(wanted) * every,
        sum(needed) * every,
        oracle(needed, every),
        sum(every for have, need in zip(ready, needed, strict=True) if have < need),
    )


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
