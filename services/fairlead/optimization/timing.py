"""How the times of two services compare: ratios of windows that were measured in pairs.

A machine that becomes slower makes both windows of a pair slower, so only their ratio says something. The interval of
the median of the ratios needs no distribution: its ends are two of the ratios.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEVEL = 0.99
LEAST_PAIRS = 8
"""Fewer pairs have no interval of this level."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """The candidate's time as a multiple of the original's: the median of all pairs, and the 99 % interval of it."""

    median: float
    low: float
    high: float

    @property
    def is_faster(self) -> bool:
        """Whether the candidate is shown to take less time."""
        return self.high < 1

    def is_slower_than(self, times: float) -> bool:
        """Whether the candidate is shown to take more than so many times the original's time."""
        return self.low > times

    @property
    def said(self) -> str:
        """In words."""
        if self.low <= 1 <= self.high:
            return "no difference shown"
        return "faster" if self.is_faster else "slower"


@dataclass(frozen=True, slots=True)
class Times:
    """The load, and the times of both versions in seconds: medians of their windows."""

    rate: float
    """Requests per second, the same for both."""
    pairs: int
    original_p50_s: float
    candidate_p50_s: float
    original_p95_s: float
    candidate_p95_s: float
    p50: Ratio
    p95: Ratio


def ratio(pairs: Sequence[tuple[float, float]]) -> Ratio:
    """The ratio of pairs (original, candidate) of times. With fewer than LEAST_PAIRS the interval has no end."""
    found = sorted(candidate / original if math.isfinite(candidate) else math.inf for original, candidate in pairs)
    place = _place(len(found))
    low, high = (0.0, math.inf) if place is None else (found[place], found[-1 - place])
    return Ratio(_median(found), low, high)


def times(rate: float, p50: Sequence[tuple[float, float]], p95: Sequence[tuple[float, float]]) -> Times:
    """The times of pairs of windows, each pair (original, candidate) in seconds."""
    return Times(
        rate=rate,
        pairs=len(p50),
        original_p50_s=_median([one for one, _ in p50]),
        candidate_p50_s=_median([one for _, one in p50]),
        original_p95_s=_median([one for one, _ in p95]),
        candidate_p95_s=_median([one for _, one in p95]),
        p50=ratio(p50),
        p95=ratio(p95),
    )


def _place(count: int) -> int | None:
    """The place of the lower end among sorted values; None if they are too few. The upper end is as far from the end.

    Fewer than `place + 1` of the values are below the median with a probability of at most half of what LEVEL leaves.
    """
    tail, found = 0.0, None
    for place in range(count // 2):
        tail += math.comb(count, place) / 2**count
        if tail > (1 - LEVEL) / 2:
            break
        found = place
    return found


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
