"""What a request is worth as evidence where failures come in clumps. Pure, on arrays of any shape.

Requests of one window are rarely quite independent: a user's bad batch fails as a whole, an instance has a bad minute.
A version's rate then varies from window to window by more than chance, and a hundred requests say less than a hundred.
How much alike the requests of one window are (their intraclass correlation) is learned from stable's past windows, and
counts are divided by the design effect that follows from it, 1 + n correlation (Kish 1965), as quasi-likelihood does
(Wedderburn 1974; McCullagh & Nelder 1989, section 9.2).

**Guarantee.** What a request is worth lies in (0, 1] and is known before the window's failures are. A bet on counts
times that is the bet with each request's factor raised to that power, and the mean of such a power is at most that
power of the mean (Jensen). So whatever was learned, `bets` promises what it promises without. Under clumps this is an
approximation and no theorem: docs/evidence.md says what was measured (decision 0072).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fairlead.rollout.analysis.bets import TINY, Floats

CORRELATION_FACTOR = 3.0
"""The correlation is taken for so many times as large as it is: clumps have longer tails than bets are made for."""
PRIOR_WINDOWS = 2.0
"""What is assumed before anything was seen counts as so many windows."""


def correlation(known: Floats, rate: Floats, variation: float) -> Floats:
    """Of sums as `said` has them, at a usual rate of `rate`; 0 where requests are independent.

    Assumed is that a rate varies by a squared coefficient of variation of `uneven`, as firmly as FIRM windows say it.
    A rate that is another than before may be as uneven as it was or its requests as much alike as they were; the
    smaller of both is taken, so that neither an incident nor its end makes a request worth little.
    """
    rare = np.minimum(rate, 1 - rate)
    information = known[..., 2] + PRIOR_WINDOWS
    by_share = (known[..., 0] + PRIOR_WINDOWS * variation) / information * rare
    as_it_was = (known[..., 1] + PRIOR_WINDOWS * variation * rare) / information
    icc: Floats = np.maximum(0.0, np.minimum(by_share, as_it_was))
    return icc


def worth(n: ArrayLike, icc: Floats) -> Floats:
    """What each of `n` requests of a window is worth: 1 where they are independent."""
    each: Floats = 1 / (1 + CORRELATION_FACTOR * np.asarray(n, np.float64) * icc)
    return each


def window_statistics(n: ArrayLike, bad: ArrayLike, known_counts: Floats) -> Floats:
    """What one window says: how unevenly failures come, how much alike requests are, and how much it says.

    `remembered` is (bad, n) of the windows before. The squared distance from what was expected, less what chance
    explains (this window's, and that in what is remembered), beside the squared expectation, and beside what it would
    be if all requests failed together. Where hardly a failure is expected, hardly anything is said.
    """
    size, of = np.asarray(n, np.float64), known_counts[..., 1]
    rate = known_counts[..., 0] / of
    expected = np.maximum(size * np.minimum(rate, 1 - rate), TINY)
    chance = size * rate * (1 - rate) * (1 + size / of)
    information = (expected**2 / (chance + expected**2)) ** 2
    beyond = information * ((np.asarray(bad, np.float64) - size * rate) ** 2 - chance) / expected
    return np.stack([beyond / expected, beyond / np.maximum(size, 1), information], axis=-1)
