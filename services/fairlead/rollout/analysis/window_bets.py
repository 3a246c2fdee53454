"""Bets on windows: do most windows say that the candidate is worse? They confirm the bets on requests. Pure, on arrays.

A bet on requests (`bets`) takes a hundred failures of one window for a hundred observations. If they have one cause,
they are one. Here a whole window is one observation: a window multiplies a bettor's wealth by at most two, whatever
happened in it. Evidence for harm counts in full only once the windows confirm it (`confirmed`).

**The relative score.** Draw from the version with more requests as many as the other had, m, without replacement: X
failures of the candidate and Y of stable. Let f = (X - S) / (X + S), 0 where both are 0, with S = Y + m margin. Its
expectation over the draw is bounded from below in closed form, so nothing is random, and a window of any size costs a
few operations. Write f = 2 X / (X + S) - 1, plus 1 where neither draw has a failure. In S it is convex, so S may be
replaced by its mean (Jensen). Over X, E[X / (X + S)] >= E[X]^2 / E[X (X + S)] (Cauchy and Schwarz). The chance of a
draw without failures is at least (1 - m / (n - x + 1))^x.

**Assumed:** if the candidate is no worse, X and Y are exchangeable up to the margin: an exchange of the versions would
be as likely as what happened. Then E[f] <= 0, so E[1 + lambda f | past] <= 1. **Not assumed:** that the requests of a
window are independent, that windows have any size, that rates are the same in two windows, or that the versions'
failures are unrelated. A candidate whose failures are more clumped than stable's, because it has fewer instances or
because a draw breaks up stable's batches, only loses: f is concave in X and convex in S. Where the candidate has more
requests than stable, the draw breaks up its own batches, and f gains. At high rates the margin is not exactly a shift;
half of it is subtracted from f, which covers every rate (a test enumerates windows).

**The absolute score** is the difference of both versions' shares of failures, less the margin. It needs no
exchangeability: its mean is at most 0 wherever the candidate's mean rate is at most stable's plus the margin. It is
weak for small rates, and finds large differences of clumped failures.

**Guarantee.** The bettors' mean wealth is an e-process under either assumption as long as no bettor starts again:
P(it ever reaches 7) <= 1/7, whatever the clumps inside windows. A bettor that lost much would need many windows to
find a fault that begins late. So its wealth does not fall below the squared worth of a request (`overdispersion`): it
starts again where failures are known to be independent and the bets on requests can be trusted, and hardly ever where
they are clumped. Alpha does not depend on any of this: confirmed evidence is never more than the evidence of the bets
on requests. Clumps that last longer than a window are clumps of windows too. docs/evidence.md has the measurements.
"""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairlead.rollout.analysis.bets import TINY, Floats, Sample

_RELATIVE = np.array([0.15, 0.4, 0.7, 0.95])
_ABSOLUTE = np.array([0.3, 0.6, 0.98])
"""The shares of their wealth that the bettors on each score put on a window."""
_LOG_STAKES = np.log(np.array([1, 1, 1, 1, 0.5, 0.5, 1]) / 6)
"""The wealth with which each bettor begins, as a part of one coin."""
ENOUGH = log(7.0)
"""The logarithm of the wealth at which windows confirm. Four windows in a row do not reach it, five or six do."""
LARGE = 0.3
"""A candidate that fails so much more of its requests than stable needs no more than LARGE_WINDOWS windows in a row."""
LARGE_WINDOWS = 3
_IN_A_ROW, _SAY_SO, _TOLD = -3, -2, -1
"""Places in the state: large differences in a row, windows in which the candidate was worse, and windows with a failure
of any version."""


def fresh(shape: tuple[int, ...]) -> Floats:
    """The state before the first window: the bettors' log wealth, and three counts, in the last axis."""
    return np.broadcast_to([*_LOG_STAKES, 0.0, 0.0, 0.0], (*shape, len(_LOG_STAKES) + 3)).copy()


def advance(state: Floats, sample: Sample, margin: ArrayLike, *, worth: ArrayLike, mirrored: ArrayLike) -> Floats:
    """The state after a window in which both versions had requests.

    `worth` is that of one request. Where `mirrored`, the scores count good requests instead, because those are rarer.
    Both and the margin must be known before the window.
    """
    edge = np.asarray(margin, np.float64)
    relative, absolute = relative_score(_mirrored(sample, np.asarray(mirrored)), edge), absolute_score(sample, edge)
    gains = [np.log1p(score[..., None] * shares) for score, shares in ((relative, _RELATIVE), (absolute, _ABSOLUTE))]
    floor = _LOG_STAKES + 2 * np.log(np.asarray(worth, np.float64))[..., None]
    excess = _rate(sample.candidate_bad, sample.candidate_n) - _rate(sample.stable_bad, sample.stable_n) - edge
    told = np.add(sample.candidate_bad, sample.stable_bad) > 0
    counts = (
        np.where(excess >= LARGE, state[..., _IN_A_ROW] + 1, 0.0),
        state[..., _SAY_SO] + (told & (excess > 0)),
        state[..., _TOLD] + told,
    )
    wealth = np.maximum(state[..., :_IN_A_ROW], floor) + np.concatenate(gains, axis=-1)
    return np.concatenate([wealth, np.stack(np.broadcast_arrays(*counts), axis=-1)], axis=-1)


def log_wealth(state: Floats) -> Floats:
    """The evidence of the windows alone: the logarithm of what the bettors have together."""
    wealth: Floats = np.logaddexp.reduce(state[..., :_IN_A_ROW], axis=-1)
    return wealth


def is_confirmed(state: Floats) -> NDArray[np.bool_]:
    """True where the windows confirm that the candidate is worse."""
    confirmed: NDArray[np.bool_] = (log_wealth(state) >= ENOUGH) | (state[..., _IN_A_ROW] >= LARGE_WINDOWS)
    return confirmed


def confirmed(log_harm: ArrayLike, state: Floats) -> Floats:
    """The evidence for harm that counts: all of it where windows confirm it, else at most what they show alone."""
    counts: Floats = np.where(is_confirmed(state), log_harm, np.minimum(log_harm, log_wealth(state)))
    return counts


def tally(state: Floats) -> tuple[Floats, Floats]:
    """In how many windows the candidate was worse, and how many had a failure of any version."""
    return state[..., _SAY_SO], state[..., _TOLD]


def relative_score(sample: Sample, margin: ArrayLike) -> Floats:
    """A number from -1 to 1 whose mean is at most 0 if an exchange of the versions would have been as likely."""
    n_c, x_c, n_s, x_s = (np.asarray(one, np.float64) for one in sample)
    edge = np.asarray(margin, np.float64)
    drawn = np.minimum(n_c, n_s)
    share = _rate(x_c, n_c)
    mean_c, mean_s = drawn * share, drawn * (_rate(x_s, n_s) + edge)
    dispersion = (1 - share) * (n_c - drawn) / np.maximum(n_c - 1, 1)
    neither = _none_drawn(n_c, x_c, drawn) * _none_drawn(n_s, x_s, drawn) * (1 - edge) ** drawn
    of_both = 2 * mean_c / np.maximum(mean_c + mean_s + dispersion, TINY)
    score: Floats = np.where(drawn > 0, np.maximum(-1.0, of_both - 1 + neither - edge / 2), 0.0)
    return score


def absolute_score(sample: Sample, margin: ArrayLike) -> Floats:
    """A number from -1 to 1 whose mean is at most 0 if the candidate's mean rate is at most stable's plus `margin`."""
    difference = _rate(sample.candidate_bad, sample.candidate_n) - _rate(sample.stable_bad, sample.stable_n)
    score: Floats = (difference - np.asarray(margin, np.float64)) / (1 + np.asarray(margin, np.float64))
    return score


def _mirrored(sample: Sample, mirrored: NDArray[np.bool_]) -> Sample:
    n_c, x_c, n_s, x_s = (np.asarray(one, np.float64) for one in sample)
    good = Sample(n_s, n_s - x_s, n_c, n_c - x_c)
    return Sample(*(np.where(mirrored, *pair) for pair in zip(good, (n_c, x_c, n_s, x_s), strict=True)))


def _none_drawn(n: Floats, bad: Floats, drawn: Floats) -> Floats:
    """A lower bound of the chance that none of `drawn` requests of `n` is one of the `bad` ones. Exact up to one."""
    chance: Floats = np.maximum(0.0, 1 - drawn / np.maximum(n - bad + 1, 1)) ** bad
    return chance


def _rate(bad: ArrayLike, n: ArrayLike) -> Floats:
    share: Floats = np.asarray(bad, np.float64) / np.maximum(n, 1)
    return share
