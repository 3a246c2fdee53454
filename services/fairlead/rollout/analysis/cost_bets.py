"""Bets on windows: does a row of the candidate take more than `ratio` times stable's CPU seconds? Pure, on arrays.

CPU seconds have no natural bound, and their noise is unknown. So a window is one observation, and only the order and
the size of a ratio count: with a = CPU seconds of a row of the candidate and b = `ratio` times those of stable, the
score is (ln a - ln b) / SPAN, cut to [-1, 1]. A bettor multiplies its wealth by 1 + share * score.

**Assumed:** if the candidate costs exactly `ratio` times as much, a and b are exchangeable in a window, given the past:
the same work, by the same kind of process, at the same time. The score is an odd function of ln a - ln b, so its mean
is then 0, whatever the distribution; where the candidate costs less, every outcome is lower, and so is the mean.
**Guarantee.** P(the mean wealth ever reaches 1/alpha) <= alpha (Ville). The score of the other side is its negative,
so evidence that the candidate costs less than `ratio` times as much is an e-process in the same way.

**Not assumed:** that windows are alike, that either version's cost stays as it is, or that noise is small. It does not
hold for a difference that is not the version's: another machine, or less load. Where only stable's cost is very noisy,
the mean of the score at the edge is a little above 0; a candidate like stable is far from the edge. docs/benchmarks.md
has the simulations (`monitoring_gates`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fairlead.rollout.analysis.bets import TINY, Floats, log_mean

SHARES = np.array([0.1, 0.3, 0.6, 0.95])
"""The share of its wealth that each bettor puts on a window."""
SPAN = 0.3
"""The logarithm of the ratio from which on a window says no more: 1.35 times the allowed cost."""


def fresh(shape: tuple[int, ...] = ()) -> Floats:
    """The bettors' log wealth before the first window, in the last axis: those on harm, then those on safety."""
    return np.zeros((*shape, 2 * len(SHARES)))


def advance(state: Floats, candidate: ArrayLike, stable: ArrayLike, ratio: float) -> Floats:
    """The state after a window in which a row of each version took so many CPU seconds."""
    score = cost_score(candidate, stable, ratio)[..., None]
    after: Floats = state + np.concatenate([np.log1p(score * SHARES), np.log1p(-score * SHARES)], axis=-1)
    return after


def cost_score(candidate: ArrayLike, stable: ArrayLike, ratio: float) -> Floats:
    """A number from -1 to 1: above 0 where a row of the candidate took more than `ratio` times as long."""
    a, b = (np.log(np.maximum(np.asarray(one, np.float64), TINY)) for one in (candidate, stable))
    score: Floats = np.clip((a - b - np.log(ratio)) / SPAN, -1.0, 1.0)
    return score


def log_harm(state: Floats) -> Floats:
    """The evidence that the candidate costs more than allowed."""
    return log_mean(state[..., : len(SHARES)])


def log_safe(state: Floats) -> Floats:
    """The evidence that it costs less than that."""
    return log_mean(state[..., len(SHARES) :])
