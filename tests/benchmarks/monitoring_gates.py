"""Simulates rollouts under the gates on what services count: how often a harmless candidate is rolled back by each, and
how soon a worse one is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from math import log
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fairlead.rollout.analysis import comparison, cost_bets, multiple_comparisons
from fairlead.rollout.analysis.bets import Floats, Sample
from fairlead.rollout.analysis.comparison import Margins
from fairlead.rollout.policy.class_mix import PLACES
from support import proof

TITLE = "gates on quality, cost and predictions: false rollbacks and power, simulated"
SEED = 20261130
ALPHA = 0.01
PART = 5.0
"""One gate of weight 1 beside the usual ones, whose weights add up to 4, has this part of alpha."""
RATIO, DEAR = 1.1, 1.3
FOUND = 0.95
Random = np.random.Generator
Noise = Callable[[Random, int], Floats]


@dataclass(frozen=True)
class Plan:
    """The rollouts of each cell, and the windows of one: 120 are ten minutes."""

    rollouts: int
    windows: int


PLANS: Mapping[proof.Size, Plan] = {"full": Plan(2000, 240), "reduced": Plan(200, 120)}

NOISY_STABLE = "stable has fewer rows, and three times the noise"
"""Then the two versions are not exchangeable at the allowed cost, which is only reported. What is wanted holds: a
candidate like stable stays."""
NOISES: Mapping[str, tuple[Noise, Noise]] = {
    "noise of 5 %": (lambda chance, n: chance.lognormal(0, 0.05, n), lambda chance, n: chance.lognormal(0, 0.05, n)),
    "noise of 20 %": (lambda chance, n: chance.lognormal(0, 0.2, n), lambda chance, n: chance.lognormal(0, 0.2, n)),
    "noise of 60 %": (lambda chance, n: chance.lognormal(0, 0.6, n), lambda chance, n: chance.lognormal(0, 0.6, n)),
    "one window in ten costs five times as much": (
        lambda chance, n: np.where(chance.random(n) < 0.1, 5.0, 1.0),
        lambda chance, n: np.where(chance.random(n) < 0.1, 5.0, 1.0),
    ),
    "the candidate has fewer rows, and three times the noise": (
        lambda chance, n: chance.gamma(1 / 0.3**2, 0.3**2, n),
        lambda chance, n: chance.gamma(1 / 0.1**2, 0.1**2, n),
    ),
    NOISY_STABLE: (
        lambda chance, n: chance.gamma(1 / 0.1**2, 0.1**2, n),
        lambda chance, n: chance.gamma(1 / 0.3**2, 0.3**2, n),
    ),
}


def prove(size: proof.Size, folder: Path) -> proof.Findings:  # noqa: ARG001
    """Simulate every cell of every gate."""
    plan, found = PLANS[size], proof.Findings()
    found.numbers["plan"] = asdict(plan)
    for part in (_cost, _quality, _predictions):
        part(plan, np.random.default_rng(SEED), found)
    return found


def _cost(plan: Plan, chance: Random, found: proof.Findings) -> None:
    for name, (mine, theirs) in NOISES.items():
        for ratio, what in ((RATIO, "exactly as dear as allowed"), (1.0, "like stable"), (DEAR, "")):

            def evidence(
                ratio: float = ratio, mine: Noise = mine, theirs: Noise = theirs
            ) -> Iterator[NDArray[np.float64]]:
                state = cost_bets.fresh((plan.rollouts,))
                for _ in range(plan.windows):
                    costs = ratio * mine(chance, plan.rollouts), theirs(chance, plan.rollouts)
                    state = cost_bets.advance(state, *costs, RATIO)
                    yield cost_bets.log_harm(state)

            if what and name == NOISY_STABLE and ratio == RATIO:
                share = np.isfinite(_windows_until(evidence())).mean()
                found.note(f"cost: rolled back though {what}, {name}", f"{share:.2%}")
            elif what:
                _claim_rare(found, f"cost: rolled back though {what}, {name}", _windows_until(evidence()))
            elif name == "noise of 20 %":
                _claim_found(found, f"cost: {DEAR:g} times stable's where {RATIO:g} is allowed, {name}", evidence())


def _quality(plan: Plan, chance: Random, found: proof.Findings) -> None:
    def evidence(rate: float, stable: float, labels: int) -> Iterator[NDArray[np.float64]]:
        state = comparison.fresh((plan.rollouts,), comparison.UNKNOWN)
        for _ in range(plan.windows):
            sample = Sample(
                labels,
                chance.binomial(labels, rate, plan.rollouts),
                9 * labels,
                chance.binomial(9 * labels, stable, plan.rollouts),
            )
            state = comparison.advance(state, sample, Margins())
            yield state.log_harm

    for rate in (0.02, 0.1, 0.4):
        _claim_rare(
            found, f"quality: rolled back with {rate:.0%} wrong as stable", _windows_until(evidence(rate, rate, 20))
        )
    _claim_found(found, "quality: 20 % wrong against 10 %, 20 labels in a block", evidence(0.2, 0.1, 20))


def _predictions(plan: Plan, chance: Random, found: proof.Findings) -> None:
    even = np.full(PLACES, 1 / PLACES)
    moved = np.array([0.046, 0.069, 0.083, 0.101, 0.120, 0.145, 0.180, 0.256])
    """The shares of the eighths of a normal distribution after a shift of half a standard deviation."""

    def evidence(shares: Floats, clump: float) -> Iterator[NDArray[np.float64]]:
        state = multiple_comparisons.fresh_latency((plan.rollouts, 2 * PLACES))
        for _ in range(plan.windows):
            counts = []
            for of, each in ((shares, 50), (even, 450)):
                drawn = chance.dirichlet(of / clump, plan.rollouts) if clump else np.tile(of, (plan.rollouts, 1))
                counts.append(chance.multinomial(each, drawn).astype(np.float64))
            sample = Sample(np.float64(50), counts[0], np.float64(450), counts[1])
            state = multiple_comparisons.advance_classes(state, sample, Margins(floor=0.05, share=0.0))
            yield multiple_comparisons.log_harm(state)

    for name, clump in (("independent rows", 0.0), ("rows that come in clumps", 0.02)):
        _claim_rare(found, f"predictionDrift: rolled back though alike, {name}", _windows_until(evidence(even, clump)))
    _claim_found(found, "predictionDrift: moved by half a standard deviation", evidence(moved / moved.sum(), 0.0))


def _windows_until(evidence: Iterator[NDArray[np.float64]]) -> Floats:
    """After how many windows each rollout is rolled back; infinite for those that are not."""
    ended: Floats | None = None
    for at, one in enumerate(evidence, 1):
        if ended is None:
            ended = np.full(one.shape, np.inf)
        ended[(one >= -log(ALPHA / PART)) & np.isinf(ended)] = at
    assert ended is not None
    return ended


def _claim_rare(found: proof.Findings, what: str, ended: Floats) -> None:
    share = float(np.isfinite(ended).mean())
    found.numbers[what] = {"rolled_back": share, "rollouts": len(ended)}
    found.claim(what, f"at most {ALPHA:.0%} of {len(ended):,}", f"{share:.2%}", share <= ALPHA)


def _claim_found(found: proof.Findings, what: str, evidence: Iterator[NDArray[np.float64]]) -> None:
    ended = _windows_until(evidence)
    share, median = float(np.isfinite(ended).mean()), float(np.median(ended))
    found.numbers[what] = {"rolled_back": share, "median_windows": median}
    found.claim(
        what,
        f"rolled back in at least {FOUND:.0%}",
        f"{share:.1%}, after {median:.0f} windows in the median",
        share >= FOUND,
    )


if __name__ == "__main__":
    proof.run("monitoring_gates", TITLE, prove)
