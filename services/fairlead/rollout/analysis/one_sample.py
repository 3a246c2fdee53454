"""One rate against a fixed limit: shadow agreement, and windows in which a candidate was starved. In logs.

A finite mixture of likelihood ratios (Robbins 1970; Howard, Ramdas et al. 2021 call it a sub-Bernoulli mixture):
bettor j takes the rate to be p_j and multiplies its money by p_j/d for a hit and (1-p_j)/(1-d) for a miss.

**Guarantee.** If every observation is a hit with chance at most `limit`, given the past, then P(harm ever reaches
1/alpha) <= alpha; if with chance at least `limit`, then P(safety ever reaches 1/beta) <= beta (Ville). The chances may
change all the time. The state is two numbers, hits and observations, so it can be added and written down anywhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fairlead.rollout.analysis.bets import TINY, Floats, log_mean

_WORSE = np.array([1.5, 2.0, 4.0, 8.0])
"""Bettors on harm, in multiples of the limit; four more share out what lies between the limit and 1."""
_BETTER = np.array([0.0, 0.125, 0.25, 0.5, 0.75])


def log_harm(hits: ArrayLike, n: ArrayLike, limit: float) -> Floats:
    """The evidence that hits are more frequent than `limit`."""
    between = limit + (1 - limit) * np.array([0.1, 0.3, 0.6, 0.95])
    return _log_e(hits, n, limit, np.maximum(np.concatenate([limit * _WORSE, between]), limit))


def log_safe(hits: ArrayLike, n: ArrayLike, limit: float) -> Floats:
    """The evidence that hits are rarer than `limit`."""
    return _log_e(hits, n, limit, limit * _BETTER)


def _log_e(hits: ArrayLike, n: ArrayLike, limit: float, bets: Floats) -> Floats:
    if not 0 < limit < 1:
        raise ValueError(f"a limit of {limit:g} leaves nothing to bet on; it must be above 0 and below 1")
    x, all_of_them = np.asarray(hits, np.float64)[..., None], np.asarray(n, np.float64)[..., None]
    # Never quite 0 or 1: one surprise must not end a bettor for good.
    p = np.clip(bets, limit * 1e-3, 1 - (1 - limit) * 1e-3)
    miss = np.log1p(-p) - np.log1p(-limit)
    return log_mean(x * np.log(p / max(limit, TINY)) + (all_of_them - x) * miss)
