"""Correlated failures: the correlation is learned from stable's windows and reduces the worth of a request."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fairlead.rollout.analysis import overdispersion
from fairlead.rollout.analysis.bets import Sample
from fairlead.rollout.analysis.comparison import Comparison, Margins, advance, fresh

ALPHA = 0.01
sizes = st.integers(0, 100_000)
rates = st.floats(0, 1)


def rates_of(variation: float, mean: float, runs: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A rate for each run: the mean times a gamma variable with this coefficient of variation."""
    if not variation:
        return np.full(runs, mean)
    return np.minimum(0.95, mean * rng.gamma(variation**-2, variation**2, runs))


def watched(variation: float, mean: float = 0.05, *, n: int = 900, windows: int = 60, runs: int = 200) -> Comparison:
    """The state after windows of stable alone, for many runs."""
    rng, state = np.random.default_rng(5), fresh((runs,))
    for _ in range(windows):
        bad = rng.binomial(n, rates_of(variation, mean, runs, rng))
        state = advance(state, Sample(0, 0, n, bad), Margins())
    return state


def worth_of(state: Comparison, n: int) -> NDArray[np.float64]:
    return overdispersion.worth(n, overdispersion.correlation(state.spread, state.baseline, state.prior.variation))


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 1e3), sizes, rates, st.floats(0, 10))
def test_a_requests_worth_is_above_zero_and_at_most_one(
    variation: float, icc: float, information: float, n: int, rate: float, assumed: float
) -> None:
    correlation = overdispersion.correlation(np.array([variation, icc, information]), np.array(rate), assumed)
    assert 0 < overdispersion.worth(n, correlation) <= 1


@given(sizes, rates, st.integers(1, 100_000), st.floats(0.001, 1))
def test_window_statistics_are_finite_and_have_the_information_of_at_most_one_window(
    n: int, share: float, remembered: int, rate: float
) -> None:
    variation, icc, information = overdispersion.window_statistics(
        n, round(n * share), np.array([rate * remembered, remembered])
    )
    assert np.isfinite([variation, icc]).all()
    assert 0 <= information <= 1


@pytest.mark.parametrize("variation", [0.0, 0.5, 1.0])
def test_the_correlation_is_learned_from_stable(variation: float) -> None:
    state = watched(variation)
    icc = overdispersion.correlation(state.spread, state.baseline, 0.0)
    assert np.median(icc) == pytest.approx(0.05 * variation**2, rel=0.35, abs=0.001)


def test_with_independent_failures_a_request_is_soon_worth_almost_one() -> None:
    assert np.median(worth_of(watched(0.0), 100)) > 0.8
    assert np.median(worth_of(watched(1.0), 100)) < 0.15


def test_rare_failures_need_no_learning() -> None:
    """45 requests with 0.2 % failures: correlation hardly matters, and a fault is found as soon as before."""
    assert np.mean(worth_of(watched(0.0, 0.002, n=45, windows=10), 5) > 0.95) > 0.95


def test_an_incident_of_both_is_not_taken_for_correlation() -> None:
    calm = watched(0.0, 0.002, n=225)
    state = calm
    for bad in (70, 65, 0):
        state = advance(state, Sample(25, 8, 225, bad), Margins())
    assert np.median(worth_of(state, 225)) > 0.8 * np.median(worth_of(calm, 225))


def test_correlated_failures_do_not_reset_stables_rate_once_they_are_known() -> None:
    state = watched(1.0)
    after = advance(state, Sample(0, 0, 900, 4 * 45), Margins())
    assert np.mean(after.stable[:, 1] > state.stable[:, 1] / 2) > 0.9


@pytest.mark.parametrize(("variation", "tolerated"), [(0.5, 0.01), (1.0, 0.04)])
def test_few_good_releases_with_correlated_failures_look_harmful(variation: float, tolerated: float) -> None:
    """200 requests/s, 5 % failures: if requests counted as independent, half of these would be rolled back."""
    rng, runs = np.random.default_rng(11), 300
    state = watched(variation, windows=6, runs=runs)
    peak = np.zeros(runs)
    for _ in range(120):
        arms = [rng.binomial(n, rates_of(variation, 0.05, runs, rng)) for n in (100, 900)]
        state = advance(state, Sample(100, arms[0], 900, arms[1]), Margins())
        peak = np.maximum(peak, state.log_harm)
    assert np.mean(peak >= -math.log(ALPHA)) <= tolerated


def test_a_fault_is_still_found_with_correlated_failures() -> None:
    rng, runs, most = np.random.default_rng(12), 100, 60
    state, first = watched(1.0, 0.01, windows=24, runs=runs), np.full(100, 60)
    for at in range(most):
        arms = [rng.binomial(n, rates_of(1.0, rate, runs, rng)) for n, rate in ((100, 0.1), (900, 0.01))]
        state = advance(state, Sample(100, arms[0], 900, arms[1]), Margins())
        first[(first == most) & (state.log_harm >= -math.log(ALPHA / 3))] = at
    assert np.median(first + 1) <= 18
