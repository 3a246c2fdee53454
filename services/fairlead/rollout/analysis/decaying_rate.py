"""A version's recent rate: an exponentially decaying average that is reset when the rate changes abruptly. Pure.

Without resets, five bad seconds of both versions would distort stable's rate for minutes. The average is reset when a
window is too unlikely under it (decision 0027), unless correlated failures of that size are known (decision 0072).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairlead.rollout.analysis.bets import TINY, Floats

DECAY = 0.99
"""The factor by which older counts shrink with each window: the average spans about a hundred windows."""
RESET_LOG_ODDS = 7.0
"""Log odds: a window that is this unlikely under the recent rate resets it."""


def rate(counts: Floats) -> Floats:
    """bad / n, of counts with (bad, n) in the last axis."""
    share: Floats = counts[..., 0] / counts[..., 1]
    return share


def pair(bad: ArrayLike, n: ArrayLike) -> Floats:
    """An array with (bad, n) in the last axis."""
    return np.stack(np.broadcast_arrays(np.asarray(bad, np.float64), np.asarray(n, np.float64)), axis=-1)


def update_counts(counts: Floats, seen: Floats, worth: Floats, assumed: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """The counts after one more window, and where they were reset to `assumed` before it was added.

    One request of the window counts as `worth` independent ones. A window without requests changes nothing.
    """
    is_reset = worth * _surprise(counts, seen) > RESET_LOG_ODDS
    keep = np.where(is_reset, 0.0, DECAY)[..., None]
    return np.where(seen[..., 1:] > 0, assumed + keep * (counts - assumed) + seen, counts), is_reset


def _surprise(counts: Floats, seen: Floats) -> Floats:
    """How much better two rates explain the old and the new counts than one rate does, as log odds."""
    surprise: Floats = _fit(counts) + _fit(seen) - _fit(counts + seen)
    return surprise


def _fit(counts: Floats) -> Floats:
    """The log-likelihood of counts at their own rate."""
    bad, n = counts[..., 0], np.maximum(counts[..., 1], TINY)
    share = np.clip(bad / n, TINY, 1 - TINY)
    fit: Floats = bad * np.log(share) + (n - bad) * np.log1p(-share)
    return fit
