"""Loads that change over minutes, and the number of instances of one who knows them in advance."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from support.autoscaling.samples import Sample, turns

QUIET, BUSY = 1.5, 9.0
NOISE = 0.15
"""Standard deviation of the load around its schedule, as a share of it."""


@dataclass(frozen=True)
class Schedule:
    """`in_flight` gives the requests in flight of all instances, by the seconds since the schedule began."""

    name: str
    seconds: float
    in_flight: Callable[[float], float]
    turns: int
    """How often the instances have a reason to change their direction: a spike is one turn down, a next one one up."""

    def noisy(self, at: float) -> float:
        """The load with noise, which is the same for the same tenth of a second."""
        drawn = random.Random(f"{self.name} {at:.1f}").gauss(1, NOISE)
        return max(0.0, self.in_flight(at) * drawn)


def _day(at: float) -> float:
    return QUIET + (BUSY - QUIET) * (1 - math.cos(2 * math.pi * at / 90)) / 2


def _spikes(at: float) -> float:
    return BUSY if at % 40 < 5 and at < 80 else QUIET


def _sawtooth(at: float) -> float:
    return BUSY * (0.5 + 0.5 * (at % 8) / 8)


SCHEDULES = (
    Schedule("a day in 90 s", 90, _day, 1),
    Schedule("a spike of 5 s every 40 s", 80, _spikes, 3),
    Schedule("a sawtooth of 8 s", 40, _sawtooth, 0),
)


@dataclass(frozen=True)
class Judged:
    """What the instances did under a schedule. Seconds are instances times the seconds in which they were wanted."""

    turns: int
    wanted_seconds: float
    oracle_seconds: float
    short_seconds: float
    """Seconds in which fewer instances were ready than the schedule needs."""

    @property
    def ratio(self) -> float:
        """Instances paid for, as a multiple of the oracle's."""
        return self.wanted_seconds / self.oracle_seconds


def oracle(schedule: Schedule, at: float, *, per_instance: float, most: int) -> int:
    """The instances that the load needs at this moment."""
    return min(most, max(1, math.ceil(schedule.in_flight(at) / per_instance)))


def judge(schedule: Schedule, samples: Sequence[Sample], *, began: float, per_instance: float, most: int) -> Judged:
    """Compare the samples of a schedule that began at `began` with the oracle."""
    wanted_s = oracle_s = short_s = 0.0
    for one, following in zip(samples, samples[1:], strict=False):
        lasted = following.at - one.at
        needed = oracle(schedule, one.at - began, per_instance=per_instance, most=most)
        wanted_s += one.wanted * lasted
        oracle_s += needed * lasted
        short_s += lasted if one.ready < needed else 0
    return Judged(turns(samples), wanted_s, oracle_s, short_s)
