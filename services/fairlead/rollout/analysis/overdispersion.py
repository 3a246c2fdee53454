"""Overdispersion: how much less a request is worth as evidence when failures are correlated. Pure, on arrays.

Requests of one window are rarely independent: a user's bad batch fails as a whole, an instance has a bad minute. A
version's rate then varies from window to window by more than chance, and a hundred requests carry less evidence than a
hundred independent ones. The intraclass correlation of the requests of one window is estimated from stable's past
windows. Counts are divided by the resulting design effect, 1 + n correlation (Kish 1965), as in quasi-likelihood
(Wedderburn 1974; McCullagh & Nelder 1989, section 9.2).

**Guarantee.** A request's worth lies in (0, 1] and is known before the window's failures are. Multiplying the counts by
the worth raises each request's factor to that power, and the mean of such a power is at most that power of the mean
(Jensen). So for every estimate the guarantee of `bets` holds unchanged. For correlated failures themselves this is an
approximation and not a theorem: docs/evidence.md has the measurements (decision 0072).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fairlead.rollout.analysis.bets import TINY, Floats

CORRELATION_FACTOR = 3.0
"""The estimated correlation is multiplied by this: correlated failures have longer tails than the bets assume."""
PRIOR_WINDOWS = 2.0
"""The prior assumption weighs as much as so many windows."""


def correlation(known: Floats, rate: Floats, variation: float) -> Floats:
    """The intraclass correlation from decayed sums of `window_statistics`, at the recent rate; 0 means independent.

    The prior is a squared coefficient of variation of `variation`, with the weight of PRIOR_WINDOWS windows. When the
    rate has changed, either the variation or the correlation may have stayed the same. The smaller of both estimates
    is used, so that neither an incident nor its end makes requests worth too little.
    """
    icc: Floats = np.maximum(0.0, np.minimum(*_estimates(known, rate, variation)))
    return icc


def largest_correlation(known: Floats, rate: Floats, variation: float) -> Floats:
    """The same with the larger of both estimates: requests that are independent by this one very likely are."""
    icc: Floats = np.maximum(0.0, np.maximum(*_estimates(known, rate, variation)))
    return icc


def worth(n: ArrayLike, icc: Floats) -> Floats:
    """The worth of each of a window's `n` requests: 1 if they are independent, less if they are correlated."""
    each: Floats = 1 / (1 + CORRELATION_FACTOR * np.asarray(n, np.float64) * icc)
    return each


def window_statistics(n: ArrayLike, bad: ArrayLike, known_counts: Floats) -> Floats:
    """One window's (squared coefficient of variation, correlation, information), the first two times the information.

    `known_counts` is (bad, n) of the earlier windows. The excess is the squared distance from the expected failures,
    less the part that chance explains (in this window and in the earlier counts). Divided by the squared expectation it
    is the variation; divided by its value if all requests failed together it is the correlation. If hardly a failure is
    expected, the window has hardly any information.
    """
    size, of = np.asarray(n, np.float64), known_counts[..., 1]
    rate = known_counts[..., 0] / of
    expected = np.maximum(size * np.minimum(rate, 1 - rate), TINY)
    chance = size * rate * (1 - rate) * (1 + size / of)
    information = (expected**2 / (chance + expected**2)) ** 2
    beyond = information * ((np.asarray(bad, np.float64) - size * rate) ** 2 - chance) / expected
    return np.stack([beyond / expected, beyond / np.maximum(size, 1), information], axis=-1)


def _estimates(known: Floats, rate: Floats, variation: float) -> tuple[Floats, Floats]:
    """The correlation if the variation has stayed as it was, and if the correlation has."""
    rare = np.minimum(rate, 1 - rate)
    information = known[..., 2] + PRIOR_WINDOWS
    by_share = (known[..., 0] + PRIOR_WINDOWS * variation) / information * rare
    as_it_was = (known[..., 1] + PRIOR_WINDOWS * variation * rare) / information
    return by_share, as_it_was
