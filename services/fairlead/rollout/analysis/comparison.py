"""Candidate against stable over a whole attempt: two mixtures of bettors, one for harm and one for safety.

Versions are compared only inside a window. So both rates may drift together (a shared incident, day and night) and the
weight may rise without appearing as a difference. Only the bettors' log wealth is added up over windows.

**Guarantee.** If in every window the candidate's rate was at most stable's plus that window's margin, then
P(harm ever reaches 1/alpha) <= alpha; if in some attempt it was at least stable's plus the acceptable loss in every
window, then P(safety ever reaches 1/beta) <= beta. This holds for any number of evaluations, any window sizes and any
stopping rule (Ville 1939; `bets` proves the factor). Requests must be independent inside a window given its rates. For
correlated failures, requests count for less (`overdispersion`), and harm counts only as far as the windows confirm it
(`window_bets`). docs/evidence.md has the measurements.

Margins, the worth of a request and the bettors' assumptions come only from windows before the one they are used on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairlead.rollout.analysis import overdispersion, window_bets
from fairlead.rollout.analysis.bets import Floats, Sample, log_bet, log_mean
from fairlead.rollout.analysis.decaying_rate import DECAY, pair, rate, update_counts

LIFTS = np.array([0.0, 0.003, 0.01, 0.03, 0.10, 0.30, 0.80])
"""How much worse than allowed each bettor assumes the candidate to be, as a share of the distance to 1. The first never
bets. One more bettor uses the candidate's recent rate."""


@dataclass(frozen=True, slots=True)
class Prior:
    """The rate that is assumed before anything was counted, and how much must be known before the first bet."""

    bad: float = 0.25
    n: float = 50.0
    """The assumption weighs as much as `n` requests of which `bad` failed: about half a percent."""
    min_stable: float = 0.0
    """So many requests of stable are counted before the first bet."""
    variation: float = 0.25
    """The assumed squared coefficient of variation of the rate (`overdispersion`), until windows give an estimate."""


RARE = Prior()
UNKNOWN = Prior(bad=0.5, n=1.0, min_stable=50.0, variation=0.0)
"""For rates that may be anything from 0 to 1, such as "slower than 32 ms": stable's rate is learned first."""


@dataclass(frozen=True, slots=True)
class Margins:
    """Which differences from stable's recent rate are no harm, and which are still acceptable."""

    floor: float = 0.002
    """Differences up to this value are no harm."""
    share: float = 0.2
    """Differences up to this share of min(rate, 1 - rate) are no harm either; the larger of both limits counts."""
    acceptable: float = 0.01
    """A candidate is safe when it is shown to be above stable by less than this value plus the margin."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The state between two windows. All arrays have one leading shape; the last axis is bettors or (bad, n)."""

    harm: Floats
    safe: Floats
    candidate: Floats
    stable: Floats
    prior: Prior
    spread: Floats
    """How correlated stable's failures are: decayed sums of `overdispersion.window_statistics`, zero at first."""
    windows: Floats
    """The bets on windows (`window_bets`)."""

    @property
    def log_harm(self) -> Floats:
        """The evidence for harm that counts: that of the requests, as far as the windows confirm it."""
        return window_bets.confirmed(self.log_harm_of_requests, self.windows)

    @property
    def log_harm_of_requests(self) -> Floats:
        """The evidence for harm of the requests alone: the logarithm of the bettors' mean wealth."""
        return log_mean(self.harm)

    @property
    def log_safe(self) -> Floats:
        """The evidence for safety, likewise."""
        return log_mean(self.safe)

    @property
    def baseline(self) -> Floats:
        """Stable's recent rate."""
        return rate(self.stable)

    @property
    def is_betting(self) -> NDArray[np.bool_]:
        """True where enough of stable was counted to bet on the next window."""
        watching: NDArray[np.bool_] = self.stable[..., 1] >= self.prior.n + self.prior.min_stable
        return watching


def fresh(shape: tuple[int, ...] = (), prior: Prior = RARE) -> Comparison:
    """The state before the first window, for `shape` independent comparisons."""
    counts = np.broadcast_to([prior.bad, prior.n], (*shape, 2)).copy()
    harm, safe, spread = (np.zeros((*shape, size)) for size in (len(LIFTS) + 1, 5, 3))
    return Comparison(harm, safe, counts, counts.copy(), prior, spread, window_bets.fresh(shape))


def advance(state: Comparison, sample: Sample, margins: Margins) -> Comparison:
    """The state after one more window. If a version had no requests, only the rates are updated, not the evidence."""
    stable, candidate = rate(state.stable)[..., None], rate(state.candidate)[..., None]
    margin = margin_of(stable[..., 0], margins)
    worst = margins.acceptable + margin
    near = stable + margin[..., None]
    # A bettor whose estimate of the candidate is not above the edge stays on the edge, which is no bet.
    harmed = np.concatenate([near + (1 - near) * LIFTS, np.maximum(candidate, near)], axis=-1)
    spared = np.concatenate(
        [stable + worst[..., None], stable / 2, stable, near, np.minimum(candidate, stable + worst[..., None])], axis=-1
    )
    n_c, _, n_s, _ = sample.columns()
    bet = state.is_betting[..., None] & (n_c > 0) & (n_s > 0)
    weighed = sample.times(*_worths(state, sample, state.prior.variation))
    rates, spread = _update_rates(state, sample)
    windows = window_bets.advance(
        state.windows, sample, margin, worth=_least_worth(state, sample), mirrored=state.baseline > 0.5
    )
    return Comparison(
        np.where(bet, state.harm + log_bet(weighed, harmed, stable, margin, side="above"), state.harm),
        np.where(bet, state.safe + log_bet(weighed, spared, stable, worst, side="below"), state.safe),
        *rates,
        state.prior,
        spread,
        np.where(bet, windows, state.windows),
    )


def margin_of(baseline: ArrayLike, margins: Margins) -> Floats:
    """How far above `baseline` a rate is still no harm."""
    usual = np.asarray(baseline, np.float64)
    margin: Floats = np.maximum(margins.floor, margins.share * np.minimum(usual, 1 - usual))
    return margin


def _worths(state: Comparison, sample: Sample, variation: float) -> tuple[Floats, Floats]:
    """The worth of one request of the candidate, and of one of stable, in this window."""
    icc = overdispersion.correlation(state.spread, state.baseline, variation)
    return overdispersion.worth(sample.candidate_n, icc), overdispersion.worth(sample.stable_n, icc)


def _least_worth(state: Comparison, sample: Sample) -> Floats:
    """The worth of a request of the version that has fewer of them, if correlation is as large as it may be."""
    icc = overdispersion.largest_correlation(state.spread, state.baseline, state.prior.variation)
    return overdispersion.worth(np.minimum(sample.candidate_n, sample.stable_n), icc)


def _update_rates(state: Comparison, sample: Sample) -> tuple[tuple[Floats, Floats], Floats]:
    """Both rates, and the correlation of stable's failures, after one more window.

    Only a measured correlation can keep a rate from being reset, not the assumed one. A window that resets the rate
    gives no information about correlation. Neither does the first window: it is compared with the assumption only.
    """
    worth_c, worth_s = _worths(state, sample, 0.0)
    assumed = np.array([state.prior.bad, state.prior.n])
    candidate, _ = update_counts(state.candidate, pair(sample.candidate_bad, sample.candidate_n), worth_c, assumed)
    seen = pair(sample.stable_bad, sample.stable_n)
    stable, is_reset = update_counts(state.stable, seen, worth_s, assumed)
    is_informative = (seen[..., 1] > 0) & (state.stable[..., 1] > state.prior.n) & ~is_reset
    more = overdispersion.window_statistics(sample.stable_n, sample.stable_bad, state.stable)
    return (candidate, stable), np.where(is_informative[..., None], DECAY * state.spread + more, state.spread)
