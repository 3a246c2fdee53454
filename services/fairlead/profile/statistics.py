"""Statistics of live counts against reference counts on the same bins, and when they are more than chance."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

SMOOTHING = 0.5
"""Rows added to each bin of both sides, so that an empty bin is no infinity."""


def shares(counts: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The smoothed share of each bin. They add up to 1, also without any row."""
    added = np.asarray(counts, dtype=np.float64) + SMOOTHING
    result: npt.NDArray[np.float64] = added / added.sum()
    return result


def psi(live: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """The population stability index of two sets of counts: 0 if the shares are equal, without an upper bound."""
    p, q = shares(live), shares(reference)
    return float(((p - q) * np.log(p / q)).sum())


def psi_critical(critical: float, live_rows: float, reference_rows: float) -> float:
    """The PSI that so many rows exceed by chance with the probability of `critical`, a quantile of chi-squared.

    `live_rows` are the independent ones: rows of one request often hang together, then it is the requests. Infinite
    without any row.
    """
    if live_rows <= 0 or reference_rows <= 0:
        return math.inf
    return critical * (1 / live_rows + 1 / reference_rows)


def js_divergence(live: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """The Jensen-Shannon divergence in bits, from 0 to 1. Its square root is the distance of the same name."""
    p, q = shares(live), shares(reference)
    middle = (p + q) / 2
    return float((p * np.log2(p / middle) + q * np.log2(q / middle)).sum() / 2)


def total_variation(live: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """The total variation distance, from 0 to 1: the share of rows that would have to move to another bin."""
    return float(np.abs(shares(live) - shares(reference)).sum() / 2)


def largest_difference(live: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """The L-infinity distance, from 0 to 1: how much the share of the bin that moved most has changed."""
    return float(np.abs(shares(live) - shares(reference)).max())


def chi_squared_quantile(exceeded: float, degrees: int) -> float:
    """The value that chi-squared with so many degrees of freedom exceeds with the probability `exceeded`."""
    low, high = 0.0, 1.0
    while _exceeds(high, degrees) > exceeded:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _exceeds(middle, degrees) > exceeded else (low, middle)
    return (low + high) / 2


def _exceeds(value: float, degrees: int) -> float:
    """The probability that chi-squared exceeds a value: Q(degrees / 2, value / 2) by its recurrence from Q(1/2, x) or
    Q(1, x), which are elementary. No library is needed where profiles are built."""
    half = value / 2
    shape, found = (0.5, math.erfc(math.sqrt(half))) if degrees % 2 else (1.0, math.exp(-half))
    while shape < degrees / 2:
        found += math.exp(shape * math.log(half) - half - math.lgamma(shape + 1)) if half > 0 else 0.0
        shape += 1
    return found
