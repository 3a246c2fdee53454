"""One bet on one window: candidate against stable, two Bernoulli rates, a margin between them. Pure, in logs.

The method is the two-sample test of Turner, Ly & Gruenwald (arXiv 2106.02693 and 2203.09785), extended from equal
blocks to windows of any two sizes. Every function works on arrays of any leading shape, so the code that decides about
one rollout is also the code that simulates thousands.

**Guarantee.** Let the null be "in this window, the candidate's rate is at most stable's plus `margin`" (or at least,
for a bet from the other side). The factor S that `log_bet` returns has E[S | past] <= 1 for every pair of rates in the
null and for every bet that was chosen before the window was seen. So a product of such factors is an e-process, and by
Ville's inequality P(it ever reaches 1/alpha) <= alpha. It may be checked at any time without losing the guarantee.

**Proof.** Let f_g be the expectation of one request's factor for version g. Then E[S] = f_c^n_c f_s^n_s, which by the
inequality of arithmetic and geometric means is at most ((n_c f_c + n_s f_s) / n)^n. That mean is linear along the
null's edge, so it is largest at one of the edge's two ends. Projecting the bet onto the null makes it 1 everywhere. The
projected point is a root that is known only up to rounding, so S is divided by the amount by which the mean exceeds 1
at the ends. Therefore the guarantee does not depend on the precision of the root.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Side = Literal["above", "below"]

TINY = 1e-9
"""Rates are kept this far from 0 and 1, so that one request never brings a bettor's wealth to zero."""
_NEWTON_STEPS = 2


class Sample(NamedTuple):
    """The counts of one window, per version: requests, and how many were bad. Scalars or arrays of one shape."""

    candidate_n: ArrayLike
    candidate_bad: ArrayLike
    stable_n: ArrayLike
    stable_bad: ArrayLike

    def swapped(self) -> Sample:
        """The same window with the versions exchanged, for a bet that stable has more."""
        return Sample(self.stable_n, self.stable_bad, self.candidate_n, self.candidate_bad)

    def times(self, candidate: ArrayLike, stable: ArrayLike) -> Sample:
        """The same window with each version's counts multiplied by a factor, which must be known before the window."""
        return Sample(
            np.multiply(self.candidate_n, candidate),
            np.multiply(self.candidate_bad, candidate),
            np.multiply(self.stable_n, stable),
            np.multiply(self.stable_bad, stable),
        )

    def columns(self) -> tuple[Floats, Floats, Floats, Floats]:
        """The four counts as floats, with one more axis for the bettors."""
        n_c, x_c, n_s, x_s = (np.asarray(one, dtype=np.float64)[..., None] for one in self)
        return n_c, x_c, n_s, x_s


def log_bet(sample: Sample, candidate: Floats, stable: Floats, margin: ArrayLike, *, side: Side) -> Floats:
    """The logarithm of S for bets on the rates `candidate` and `stable`; bettors are the last axis.

    `side` is the direction of the bet: that the candidate is above `stable + margin`, or below it. The null is the
    complement. The result is 0, no evidence, when a version had no requests or when the bet itself lies in the null.
    """
    n_c, x_c, n_s, x_s = sample.columns()
    edge = np.clip(np.asarray(margin, dtype=np.float64)[..., None], 0.0, 1 - 4 * TINY)
    p_c, p_s = np.clip(candidate, TINY, 1 - TINY), np.clip(stable, TINY, 1 - TINY)
    q_s = _project(p_c, p_s, n_c, n_s, edge)
    q_c = q_s + edge
    up_c, up_s, down_c, down_s = p_c / q_c, p_s / q_s, (1 - p_c) / (1 - q_c), (1 - p_s) / (1 - q_s)
    n = np.maximum(n_c + n_s, TINY)
    share = n_c / n
    ends = []
    for theta in (0.0, 1 - edge):
        f_c = (theta + edge) * up_c + (1 - theta - edge) * down_c
        f_s = theta * up_s + (1 - theta) * down_s
        ends.append(share * f_c + (1 - share) * f_s)
    excess = n * np.log(np.maximum(1.0, np.maximum(*ends)))
    log_s = x_c * np.log(up_c) + (n_c - x_c) * np.log(down_c) + x_s * np.log(up_s) + (n_s - x_s) * np.log(down_s)
    beyond = p_c - p_s - edge if side == "above" else p_s + edge - p_c
    informed = (n_c > 0) & (n_s > 0) & (beyond > 2 * TINY)
    bet: Floats = np.where(informed, log_s - excess, 0.0)
    return bet


def _project(p_c: Floats, p_s: Floats, n_c: Floats, n_s: Floats, edge: Floats) -> Floats:
    """Stable's rate at the point of the null's edge that is closest to the bet.

    There n_c KL(p_c || q + edge) + n_s KL(p_s || q) is smallest. The derivative's numerator is a cubic with one root
    below 0, one above 1 - edge and one between. Viete's formula gives the middle root; Newton steps correct rounding.
    """
    share, beyond = n_c / np.maximum(n_c + n_s, TINY), edge - p_c
    spread, width = edge * (1 - edge), 1 - 2 * edge
    b = share * (1 - beyond) + (1 - share) * (width + p_s)
    c = share * beyond + (1 - share) * (spread - p_s * width)
    d = -(1 - share) * p_s * spread
    half = np.sqrt(np.maximum(c + b * b / 3, TINY**2) / 3)
    angle = np.arccos(np.clip((2 * b**3 / 27 + b * c / 3 + d) / (2 * half**3), -1.0, 1.0))
    q = b / 3 + 2 * half * np.cos((angle - 2 * np.pi) / 3)
    for _ in range(_NEWTON_STEPS):
        slope = (3 * q - 2 * b) * q - c
        q = q - (((q - b) * q - c) * q - d) / np.where(slope == 0, 1.0, slope)
    least, most = np.minimum(p_s, p_c - edge), np.maximum(p_s, p_c - edge)
    root: Floats = np.clip(q, np.maximum(least, TINY), np.minimum(most, 1 - edge - TINY))
    return root


def log_mean(log_e: Floats) -> Floats:
    """The logarithm of the mean over the last axis. A mean of n e-processes is an e-process; it costs at most ln(n)."""
    peak = log_e.max(axis=-1)
    mean: Floats = peak + np.log(np.exp(log_e - peak[..., None]).mean(axis=-1))
    return mean
