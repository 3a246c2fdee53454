"""Candidate against stable over a whole attempt: two mixtures of bettors, one for harm and one for safety.

Windows are compared inside themselves, so rates may drift together (a shared incident, day and night) and the weight
may rise without any of it looking like a difference: nothing is ever added up over windows but the bettors' winnings.

**Guarantee.** If in every window the candidate's rate was at most stable's plus that window's margin, then
P(harm ever reaches 1/alpha) <= alpha; if in some attempt it was at least stable's plus the acceptable loss in every
window, then P(safety ever reaches 1/beta) <= beta. For any number of looks, any window sizes, any stopping rule
(Ville 1939; `bets` proves the factor). Requests must be independent inside a window given its rates: the margin is
what absorbs the rest, and docs/evidence.md says how much.

Margins, and all that the bettors assume, come from windows before the one they are used on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fairlead.rollout.analysis.bets import Floats, Sample, log_bet, log_mean

LIFTS = np.array([0.003, 0.01, 0.03, 0.10, 0.30, 0.80])
"""How much worse than allowed each bettor takes the candidate to be. One more bets on what it has seen of it."""
KEEP = 0.99
"""What a window's counts are worth one window later: stable's rate is the recent one, some hundred windows long."""
PRIOR_BAD, PRIOR_N = 0.25, 50.0
"""What is assumed of a rate before anything was counted: about half a percent, as firmly as 50 requests."""


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
        return _rate(self.stable)


def fresh(shape: tuple[int, ...] = ()) -> Comparison:
    """Before the first window; `shape` is how many are run beside each other."""
    prior = np.broadcast_to([PRIOR_BAD, PRIOR_N], (*shape, 2)).copy()
    return Comparison(np.zeros((*shape, len(LIFTS) + 1)), np.zeros((*shape, 4)), prior, prior.copy())


def advance(state: Comparison, sample: Sample, margins: Margins) -> Comparison:
    """The state after one more window. A window in which an arm saw nothing is no evidence, but is remembered."""
    stable, candidate = _rate(state.stable)[..., None], _rate(state.candidate)[..., None]
    margin = margin_of(stable[..., 0], margins)
    worst = margins.acceptable + margin
    near = stable + margin[..., None]
    # Whoever sees no harm in the candidate stays on the edge, and that is no bet at all.
    harmed = np.concatenate([near + LIFTS, np.maximum(candidate, near)], axis=-1)
    spared = np.concatenate([stable / 2, stable, near, np.minimum(candidate, stable + worst[..., None])], axis=-1)
    return Comparison(
        state.harm + log_bet(sample, harmed, stable, margin, side="above"),
        state.safe + log_bet(sample, spared, stable, worst, side="below"),
        _remember(state.candidate, sample.candidate_bad, sample.candidate_n),
        _remember(state.stable, sample.stable_bad, sample.stable_n),
    )


def margin_of(baseline: ArrayLike, margins: Margins) -> Floats:
    """How far above `baseline` is no harm."""
    rate = np.asarray(baseline, np.float64)
    margin: Floats = np.maximum(margins.floor, margins.share * np.minimum(rate, 1 - rate))
    return margin


def _rate(counts: Floats) -> Floats:
    rate: Floats = counts[..., 0] / counts[..., 1]
    return rate


def _remember(counts: Floats, bad: object, n: object) -> Floats:
    """Forget a little, add what is new. A window without requests is no reason to forget."""
    seen = np.stack(np.broadcast_arrays(np.asarray(bad, np.float64), np.asarray(n, np.float64)), axis=-1)
    prior = np.array([PRIOR_BAD, PRIOR_N])
    kept: Floats = np.where(seen[..., 1:] > 0, prior + KEEP * (counts - prior) + seen, counts)
    return kept
