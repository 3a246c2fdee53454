"""Candidate against stable over a whole attempt: two mixtures of bettors, one for harm and one for safety.

Windows are compared inside themselves, so rates may drift together (a shared incident, day and night) and the weight
may rise without any of it looking like a difference: nothing is ever added up over windows but the bettors' winnings.

**Guarantee.** If in every window the candidate's rate was at most stable's plus that window's margin, then
P(harm ever reaches 1/alpha) <= alpha; if in some attempt it was at least stable's plus the acceptable loss in every
window, then P(safety ever reaches 1/beta) <= beta. For any number of looks, any window sizes, any stopping rule
(Ville 1939; `bets` proves the factor). Requests must be independent inside a window given its rates. Where failures
come in clumps, requests count for less (`clumps`), and the margin absorbs the rest; docs/evidence.md says how much.

Margins, what a request counts for, and all that the bettors assume come from windows before the one they are used on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairlead.rollout.analysis import overdispersion
from fairlead.rollout.analysis.bets import Floats, Sample, log_bet, log_mean
from fairlead.rollout.analysis.decaying_rate import DECAY, pair, rate, update_counts

LIFTS = np.array([0.0, 0.003, 0.01, 0.03, 0.10, 0.30, 0.80])
"""How much worse than allowed each bettor takes the candidate to be, in parts of what is left up to 1. The first keeps
its money; one more bets on what it has seen of the candidate."""
STATE_FIELDS = ("harm", "safe", "candidate", "stable", "spread")
"""What must be written down of a comparison to go on from it."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What is assumed of a rate before anything was counted, and how much must be known before anything is bet."""

    bad: float = 0.25
    n: float = 50.0
    """As firmly as so many requests, `bad` of them bad: failures are rare, about half a percent."""
    min_stable: float = 0.0
    """So many requests of stable are watched before the first bet."""
    variation: float = 0.25
    """How unevenly failures come (`clumps`), until windows have told."""


RARE = Prior()
UNKNOWN = Prior(bad=0.5, n=1.0, min_stable=50.0, variation=0.0)
"""Anything from 0 to 1 may be usual, as for "slower than 32 ms": what stable does is learned first."""


@dataclass(frozen=True, slots=True)
class Margins:
    """How much worse may pass unnoticed, and how much worse is still acceptable, beside stable's recent rate."""

    floor: float = 0.002
    """Differences up to this are no harm."""
    share: float = 0.2
    """Nor are those up to this share of stable's rate, or of what it lacks to 1; the larger of both counts."""
    acceptable: float = 0.01
    """A candidate is safe when it is shown to be less than this, and the margin, above stable."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The state between two windows. All arrays have one leading shape, and end in bettors or in (bad, n)."""

    harm: Floats
    safe: Floats
    candidate: Floats
    stable: Floats
    prior: Prior = RARE
    spread: Floats = field(default_factory=lambda: np.zeros(3))
    """How much alike the requests of one window fail: what stable's windows said (`clumps.said`), nothing at first."""

    @property
    def log_harm(self) -> Floats:
        """How strongly the windows speak for harm: the logarithm of the mean winnings."""
        return log_mean(self.harm)

    @property
    def log_safe(self) -> Floats:
        """How strongly they speak for safety."""
        return log_mean(self.safe)

    @property
    def baseline(self) -> Floats:
        """Stable's recent rate."""
        return rate(self.stable)

    @property
    def is_betting(self) -> NDArray[np.bool_]:
        """True where enough of stable was watched for the next window to be bet on."""
        watching: NDArray[np.bool_] = self.stable[..., 1] >= self.prior.n + self.prior.min_stable
        return watching


def fresh(shape: tuple[int, ...] = (), prior: Prior = RARE) -> Comparison:
    """Before the first window; `shape` is how many are run beside each other."""
    counts = np.broadcast_to([prior.bad, prior.n], (*shape, 2)).copy()
    bettors, spread = len(LIFTS) + 1, np.zeros((*shape, 3))
    return Comparison(np.zeros((*shape, bettors)), np.zeros((*shape, 5)), counts, counts.copy(), prior, spread)


def advance(state: Comparison, sample: Sample, margins: Margins) -> Comparison:
    """The state after one more window. A window in which an arm saw nothing is no evidence, but is remembered."""
    stable, candidate = rate(state.stable)[..., None], rate(state.candidate)[..., None]
    margin = margin_of(stable[..., 0], margins)
    worst = margins.acceptable + margin
    near = stable + margin[..., None]
    # Whoever sees no harm in the candidate stays on the edge, and that is no bet at all.
    harmed = np.concatenate([near + (1 - near) * LIFTS, np.maximum(candidate, near)], axis=-1)
    spared = np.concatenate(
        [stable + worst[..., None], stable / 2, stable, near, np.minimum(candidate, stable + worst[..., None])], axis=-1
    )
    n_c, _, n_s, _ = sample.columns()
    bet = state.is_betting[..., None] & (n_c > 0) & (n_s > 0)
    weighed = sample.times(*_worths(state, sample, state.prior.variation))
    rates, spread = _update_rates(state, sample)
    return Comparison(
        np.where(bet, state.harm + log_bet(weighed, harmed, stable, margin, side="above"), state.harm),
        np.where(bet, state.safe + log_bet(weighed, spared, stable, worst, side="below"), state.safe),
        *rates,
        state.prior,
        spread,
    )


def margin_of(baseline: ArrayLike, margins: Margins) -> Floats:
    """How far above `baseline` is no harm."""
    usual = np.asarray(baseline, np.float64)
    margin: Floats = np.maximum(margins.floor, margins.share * np.minimum(usual, 1 - usual))
    return margin


def _worths(state: Comparison, sample: Sample, variation: float) -> tuple[Floats, Floats]:
    """What a request of the candidate, and one of stable, is worth in this window."""
    icc = overdispersion.correlation(state.spread, state.baseline, variation)
    return overdispersion.worth(sample.candidate_n, icc), overdispersion.worth(sample.stable_n, icc)


def _update_rates(state: Comparison, sample: Sample) -> tuple[tuple[Floats, Floats], Floats]:
    """Both rates, and how much alike stable's requests are, with one more window.

    Only clumps that were seen, not those that are assumed, keep a rate from being over. A window in which it is over
    says nothing of clumps, and neither does the first: that it is not as was assumed is no wonder.
    """
    worth_c, worth_s = _worths(state, sample, 0.0)
    assumed = np.array([state.prior.bad, state.prior.n])
    candidate, _ = update_counts(state.candidate, pair(sample.candidate_bad, sample.candidate_n), worth_c, assumed)
    seen = pair(sample.stable_bad, sample.stable_n)
    stable, is_reset = update_counts(state.stable, seen, worth_s, assumed)
    is_informative = (seen[..., 1] > 0) & (state.stable[..., 1] > state.prior.n) & ~is_reset
    more = overdispersion.window_statistics(sample.stable_n, sample.stable_bad, state.stable)
    return (candidate, stable), np.where(is_informative[..., None], DECAY * state.spread + more, state.spread)
