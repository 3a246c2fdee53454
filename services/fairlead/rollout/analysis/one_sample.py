"""One rate against a fixed limit, for shadow agreement, starvation and custom gates with a limit. In logs.

A finite mixture of likelihood ratios (Robbins 1970; Howard, Ramdas et al. 2021 call it a sub-Bernoulli mixture):
bettor j assumes the rate p_j and multiplies its wealth by p_j/d for a hit and (1-p_j)/(1-d) for a miss; d is the limit.

**Guarantee.** If every observation, given the past, is a hit with probability at most `limit`, then P(harm ever reaches
1/alpha) <= alpha. If the probability is at least `limit`, then P(safety ever reaches 1/beta) <= beta (Ville). The
probabilities may change all the time. The state is two numbers, hits and observations, which are simply added up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fairlead.rollout.analysis.bets import TINY, Floats, log_mean

_WORSE = np.array([1.5, 2.0, 4.0, 8.0])
"""Rates of the bettors on harm, in multiples of the limit. Four more lie between the limit and 1."""
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
    # Never exactly 0 or 1: one unlikely observation must not bring a bettor's wealth to zero.
    p = np.clip(bets, limit * 1e-3, 1 - (1 - limit) * 1e-3)
    miss = np.log1p(-p) - np.log1p(-limit)
    return log_mean(x * np.log(p / max(limit, TINY)) + (all_of_them - x) * miss)
