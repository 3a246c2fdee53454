"""Random responses of simulated versions: counts drawn from a `Behaviour` with the caller's random generator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import erf, log, sqrt
from statistics import NormalDist

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from fairlead.contracts.latency import GRID_MS
from fairlead.contracts.scenario import Behaviour, Latency

BucketCounts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ResponseCounts:
    """`n` responses: how many were 5xx (`failed`) and 4xx (`rejected`), and how many are in each latency bucket.

    `timed_out` of the failed ones are the gateway's own 504.
    """

    n: int
    failed: int
    rejected: int
    buckets: BucketCounts
    timed_out: int = 0

    def plus(self, other: ResponseCounts) -> ResponseCounts:
        """The sum of both."""
        return ResponseCounts(
            self.n + other.n,
            self.failed + other.failed,
            self.rejected + other.rejected,
            self.buckets + other.buckets,
            self.timed_out + other.timed_out,
        )


NO_RESPONSES = ResponseCounts(0, 0, 0, np.zeros(len(GRID_MS) + 1, dtype=np.int64))
"""The last bucket is for responses slower than every boundary; gateways do not report it."""


@dataclass(frozen=True, slots=True)
class LatencyShares:
    """The share of responses in each latency bucket, among those within the timeout, and the share after it."""

    shares: tuple[float, ...]
    late: float


@lru_cache(maxsize=256)
def latency_shares(latency: Latency, limit_s: float) -> LatencyShares:
    """The distribution of a latency with a timeout of `limit_s`."""
    below = [min(_share_within(latency, bound / 1000), _share_within(latency, limit_s)) for bound in GRID_MS]
    within = _share_within(latency, limit_s)
    if within <= 0:
        return LatencyShares((*(0.0 for _ in GRID_MS), 1.0), 1.0)
    edges = np.array([0.0, *below, within]) / within
    return LatencyShares(tuple(np.diff(edges).tolist()), 1.0 - within)


def failure_probability(behaviour: Behaviour, limit_s: float) -> float:
    """The probability that one attempt fails: with an error, or by taking longer than the timeout."""
    return 1.0 - (1.0 - behaviour.errors) * (1.0 - latency_shares(behaviour.latency, limit_s).late)


def draw(behaviour: Behaviour, n: int, *, limit_s: float, rng: Generator) -> ResponseCounts:
    """`n` responses of a version; those that exceed the timeout count as failed."""
    probability = failure_probability(behaviour, limit_s)
    failed = int(rng.binomial(n, probability)) if n else 0
    late = latency_shares(behaviour.latency, limit_s).late
    timed_out = int(rng.binomial(failed, min(1.0, late / probability))) if failed and late else 0
    found = draw_with_failures(behaviour, n - failed, failed, limit_s=limit_s, rng=rng)
    return replace(found, timed_out=timed_out)


def draw_with_failures(behaviour: Behaviour, ok: int, failed: int, *, limit_s: float, rng: Generator) -> ResponseCounts:
    """Responses with a given number of failures: draws how many of the others are 4xx, and all latencies."""
    if not ok + failed:
        return NO_RESPONSES
    buckets = rng.multinomial(ok + failed, latency_shares(behaviour.latency, limit_s).shares)
    rejected = int(rng.binomial(ok, behaviour.rejections)) if ok else 0
    return ResponseCounts(ok + failed, failed, rejected, buckets)


def draw_latencies(latency: Latency, n: int, rng: Generator, *, above_s: float = 0.0) -> NDArray[np.float64]:
    """`n` latencies in seconds, all above `above_s`."""
    least = _share_within(latency, above_s)
    if latency.sigma == 0:
        return np.full(n, max(latency.median, above_s))
    # By the inverse of the distribution, so that the tail needs no rejected draws.
    shares = np.minimum(least + (1.0 - least) * rng.random(n), 1.0 - 1e-12)
    normal = NormalDist()
    quantiles = np.array([normal.inv_cdf(share) if share > 0 else -np.inf for share in shares.tolist()])
    found: NDArray[np.float64] = np.maximum(latency.median * np.exp(latency.sigma * quantiles), above_s)
    return found


def count_latencies(seconds: NDArray[np.float64], *, timed_out: int) -> ResponseCounts:
    """Responses with known latencies. Those that timed out are the only ones that failed."""
    buckets = np.bincount(np.searchsorted(GRID_MS, seconds * 1000), minlength=len(GRID_MS) + 1).astype(np.int64)
    return ResponseCounts(len(seconds), timed_out, 0, buckets, timed_out)


def _share_within(latency: Latency, seconds: float) -> float:
    """The share of responses that take at most this long."""
    distance = log(seconds / latency.median) if seconds > 0 else float("-inf")
    if latency.sigma == 0:
        return 1.0 if distance >= 0 else 0.0
    return 0.5 * (1.0 + erf(distance / (latency.sigma * sqrt(2.0))))
