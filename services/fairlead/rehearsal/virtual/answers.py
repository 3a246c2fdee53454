"""How versions answer: counts drawn from a behaviour. Chance comes from the generator that is handed in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import erf, log, sqrt

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from fairlead.contracts.latency import GRID_MS
from fairlead.contracts.scenario import Behaviour, Latency

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Answered:
    """So many answers: how many were 5xx, how many 4xx, and how many fell into each bucket of the grid."""

    n: int
    failed: int
    rejected: int
    times: Counts

    def plus(self, other: Answered) -> Answered:
        """Both together."""
        return Answered(
            self.n + other.n,
            self.failed + other.failed,
            self.rejected + other.rejected,
            self.times + other.times,
        )


NOTHING = Answered(0, 0, 0, np.zeros(len(GRID_MS) + 1, dtype=np.int64))
"""The last bucket is for what is slower than every boundary; gateways do not tell it."""


@dataclass(frozen=True, slots=True)
class Times:
    """Where answers fall in the grid, those within the time limit, and the share that is later than it."""

    shares: tuple[float, ...]
    late: float


@lru_cache(maxsize=256)
def times_of(latency: Latency, limit_s: float) -> Times:
    """The distribution of a latency under a time limit."""
    below = [min(_below(latency, bound / 1000), _below(latency, limit_s)) for bound in GRID_MS]
    within = _below(latency, limit_s)
    if within <= 0:
        return Times((*(0.0 for _ in GRID_MS), 1.0), 1.0)
    edges = np.array([0.0, *below, within]) / within
    return Times(tuple(np.diff(edges).tolist()), 1.0 - within)


def failing(behaviour: Behaviour, limit_s: float) -> float:
    """The chance that one attempt fails: with an error, or by taking longer than the limit."""
    return 1.0 - (1.0 - behaviour.errors) * (1.0 - times_of(behaviour.latency, limit_s).late)


def draw(behaviour: Behaviour, n: int, *, limit_s: float, rng: Generator) -> Answered:
    """So many answers of a version; those over the limit count as failed."""
    failed = int(rng.binomial(n, failing(behaviour, limit_s))) if n else 0
    return outcomes(behaviour, n - failed, failed, limit_s=limit_s, rng=rng)


def outcomes(behaviour: Behaviour, ok: int, failed: int, *, limit_s: float, rng: Generator) -> Answered:
    """Answers of which it is known how many failed: which of the others are 4xx, and how long they took."""
    if not ok + failed:
        return NOTHING
    times = rng.multinomial(ok + failed, times_of(behaviour.latency, limit_s).shares)
    rejected = int(rng.binomial(ok, behaviour.rejections)) if ok else 0
    return Answered(ok + failed, failed, rejected, times)


def _below(latency: Latency, seconds: float) -> float:
    """The share of answers that take at most so long."""
    distance = log(seconds / latency.median) if seconds > 0 else float("-inf")
    if latency.sigma == 0:
        return 1.0 if distance >= 0 else 0.0
    return 0.5 * (1.0 + erf(distance / (latency.sigma * sqrt(2.0))))
