"""What is remembered of a rate from window to window: the recent one, and nothing of one that is over. Pure.

A long memory of stable's rate would make five bad seconds of both versions cost minutes: it ends where a window cannot
be explained by what is remembered (decision 0027), unless failures are known to come in clumps of that size (0072).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairlead.rollout.analysis.bets import TINY, Floats

DECAY = 0.99
"""What a window is worth one window later: what is remembered is the recent rate, some hundred windows long."""
RESET_LOG_ODDS = 7.0
"""As a logarithm of odds: a window so unlikely under the rate that is remembered ends it, and it is forgotten."""


def rate(counts: Floats) -> Floats:
    """Of (bad, n) in the last axis."""
    share: Floats = counts[..., 0] / counts[..., 1]
    return share


def pair(bad: ArrayLike, n: ArrayLike) -> Floats:
    """(bad, n) in the last axis."""
    return np.stack(np.broadcast_arrays(np.asarray(bad, np.float64), np.asarray(n, np.float64)), axis=-1)


def update_counts(counts: Floats, seen: Floats, worth: Floats, assumed: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """What is remembered with one more window, and where everything before it but what was `assumed` was forgotten.

    A request of the window says as much as `worth` independent ones. A window without requests says nothing.
    """
    is_reset = worth * _surprise(counts, seen) > RESET_LOG_ODDS
    keep = np.where(is_reset, 0.0, DECAY)[..., None]
    return np.where(seen[..., 1:] > 0, assumed + keep * (counts - assumed) + seen, counts), is_reset


def _surprise(counts: Floats, seen: Floats) -> Floats:
    """How much better two rates explain what is remembered and what was seen than one does, as a logarithm of odds."""
    surprise: Floats = _fit(counts) + _fit(seen) - _fit(counts + seen)
    return surprise


def _fit(counts: Floats) -> Floats:
    """The logarithm of the likelihood of counts at their own rate."""
    bad, n = counts[..., 0], np.maximum(counts[..., 1], TINY)
    share = np.clip(bad / n, TINY, 1 - TINY)
    fit: Floats = bad * np.log(share) + (n - bad) * np.log1p(-share)
    return fit
