"""Latency by boundaries and the mix of classes: one alpha for all comparisons, and safety only if all are safe."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fairlead.rollout.analysis import multiple_comparisons
from fairlead.rollout.analysis.bets import Sample
from fairlead.rollout.analysis.comparison import UNKNOWN, Margins, fresh, margin_of
from support.rollouts import rules
from support.rollouts.simulated_counts import WINDOW_S, Cell, simulate_latency

ALPHA = 0.01


@pytest.mark.parametrize("boundaries", [(0.032, 0.064, 0.128), (0.001, 0.008, 8.0)])
def test_latency_at_several_boundaries_keeps_one_alpha(boundaries: tuple[float, ...]) -> None:
    """The guarantee holds although the boundaries of one histogram are strongly dependent."""
    rng, runs, bounds = np.random.default_rng(1), 500, np.array(boundaries)
    state, peak = multiple_comparisons.fresh_latency((runs, 3)), np.zeros(runs)
    for _ in range(40):
        arms = [rng.lognormal(math.log(0.04), 0.6, (runs, n)) for n in (10, 90)]
        slow = [(arm[..., None] > bounds).sum(axis=1) for arm in arms]
        state = multiple_comparisons.advance_latency(state, Sample(10, slow[0], 90, slow[1]), Margins())
        peak = np.maximum(peak, multiple_comparisons.log_harm(state))
    assert np.mean(peak >= -math.log(ALPHA)) <= ALPHA


def test_doubled_latency_is_found() -> None:
    rng, boundaries = np.random.default_rng(2), np.array([0.008, 0.032, 0.128, 0.512, 2.048])
    state, windows = multiple_comparisons.fresh_latency((5,)), 0
    while multiple_comparisons.log_harm(state) < -math.log(ALPHA):
        arms = [rng.lognormal(math.log(median), 0.6, n) for median, n in ((0.08, 10), (0.04, 90))]
        slow = [(arm[:, None] > boundaries).sum(axis=0) for arm in arms]
        state, windows = (
            multiple_comparisons.advance_latency(state, Sample(10, slow[0], 90, slow[1]), Margins()),
            windows + 1,
        )
    assert windows <= 12


@pytest.mark.parametrize("rate", [0.02, 0.5, 0.9, 0.995])
def test_as_slow_as_the_margin_allows_is_found_in_at_most_alpha_of_all_rollouts(rate: float) -> None:
    """The worst case of the null, at boundaries that few, half or nearly all of stable's answers exceed."""
    rng, runs = np.random.default_rng(4), 1000
    state, peak = multiple_comparisons.fresh_latency((runs, 1)), np.zeros(runs)
    for _ in range(80):
        n_c, n_s = rng.poisson(25, (runs, 1)), rng.poisson(225, (runs, 1))
        slow = rng.binomial(n_c, np.minimum(1.0, rate + margin_of(state.baseline, Margins()))), rng.binomial(n_s, rate)
        state = multiple_comparisons.advance_latency(state, Sample(n_c, slow[0], n_s, slow[1]), Margins())
        peak = np.maximum(peak, multiple_comparisons.log_harm(state))
    assert np.mean(peak >= -math.log(ALPHA)) <= ALPHA


@pytest.mark.parametrize("median_s", [0.004, 0.04, 0.1])
def test_doubled_latency_is_found_in_a_minute_though_most_answers_are_slower_than_most_boundaries(
    median_s: float,
) -> None:
    """50 requests/s, a tenth to the candidate, windows of 5 s, log-normal with sigma 0.6; a quarter of alpha."""
    counted = simulate_latency(
        Cell(50, 0, 0), 2.0, np.array([0.008, 0.016, 0.032, 0.064]), 200, seed=5, median_s=median_s
    )
    found = rules.evidence(
        counted, margins=Margins(), shares=(0.25,), advance=multiple_comparisons.advance_latency, prior=UNKNOWN
    )
    assert np.median(found.harmed[0.25] + 1) * WINDOW_S <= 60


def test_nothing_is_bet_on_latency_before_stable_is_known() -> None:
    state, all_slow = multiple_comparisons.fresh_latency((1,)), Sample(5, np.array([5]), 20, np.array([0]))
    for _ in range(3):
        state = multiple_comparisons.advance_latency(state, all_slow, Margins())
        assert multiple_comparisons.log_harm(state) == 0
    assert multiple_comparisons.log_harm(multiple_comparisons.advance_latency(state, all_slow, Margins())) > 0


def test_a_class_mix_that_moved_is_found_whichever_way() -> None:
    margins, shares = Margins(floor=0.05), (np.array([0.5, 0.3, 0.2]), np.array([0.5, 0.1, 0.4]))
    state = fresh((6,))
    for _ in range(40):
        state = multiple_comparisons.advance_classes(state, Sample(50, 50 * shares[1], 450, 450 * shares[0]), margins)
    assert multiple_comparisons.log_harm(state) >= -math.log(ALPHA)
    moved = state.log_harm >= 0
    assert list(moved) == [False, False, True, False, True, False], "one became more frequent, one rarer"


@pytest.mark.parametrize("noise", [0.0, 0.04])
def test_a_retrained_model_within_the_margin_is_no_drift(noise: float) -> None:
    rng, margins, runs = np.random.default_rng(3), Margins(floor=0.05), 200
    base = np.array([0.5, 0.3, 0.2])
    shifted = base + np.array([noise, -noise, 0])
    state, peak = fresh((runs, 6)), np.zeros(runs)
    for _ in range(40):
        counts = rng.multinomial(20, shifted, runs), rng.multinomial(180, base, runs)
        ns = np.full((runs, 3), 20), np.full((runs, 3), 180)
        state = multiple_comparisons.advance_classes(state, Sample(ns[0], counts[0], ns[1], counts[1]), margins)
        peak = np.maximum(peak, multiple_comparisons.log_harm(state))
    assert np.mean(peak >= -math.log(ALPHA)) <= ALPHA


def test_one_unsafe_boundary_makes_the_whole_unsafe() -> None:
    state = multiple_comparisons.fresh_latency((2,))
    for _ in range(40):
        state = multiple_comparisons.advance_latency(
            state, Sample(50, np.array([0, 25]), 450, np.array([0, 0])), Margins()
        )
    assert multiple_comparisons.log_safe(state) < 0 < float(state.log_safe[0])
