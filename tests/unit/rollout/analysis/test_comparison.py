"""The comparison over many windows: its guarantees under the null, and what it detects."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from fairlead.rollout.analysis.bets import Sample
from fairlead.rollout.analysis.comparison import Comparison, Margins, advance, fresh, margin_of

ALPHA = 0.01
MARGINS = Margins()
counted = st.tuples(st.integers(0, 500), st.floats(0, 1), st.integers(0, 5000), st.floats(0, 1))
windows = st.lists(counted, max_size=20)


def counts_of(window: tuple[int, float, int, float]) -> tuple[int, int, int, int]:
    n_c, bad_c, n_s, bad_s = window
    return n_c, round(bad_c * n_c), n_s, round(bad_s * n_s)


def after(windows: list[tuple[int, float, int, float]]) -> Comparison:
    state = fresh()
    for window in windows:
        state = advance(state, Sample(*counts_of(window)), MARGINS)
    return state


class TestUnderTheNull:
    @pytest.mark.parametrize("rate", [0.0, 0.1, 0.7, 1.0])
    def test_three_windows_never_pay_on_average(self, rate: float) -> None:
        """Exact: every outcome of three windows of 2 and 3 requests, with rates that jump between them."""
        paths = np.array(list(itertools.product(itertools.product(range(3), range(4)), repeat=3)))
        state, chance, edge_chance = fresh((len(paths),)), np.ones(len(paths)), np.ones(len(paths))
        for at in range(3):
            x_c, x_s = paths[:, at, 0], paths[:, at, 1]
            drift = rate if at % 2 else rate / 2
            margin = margin_of(state.baseline, MARGINS)
            worst = MARGINS.acceptable + margin
            chance *= mass(2, x_c, np.minimum(1.0, drift + margin)) * mass(3, x_s, drift)
            base = np.minimum(drift, 1 - worst)
            edge_chance *= mass(2, x_c, base + worst) * mass(3, x_s, base)
            state = advance(state, Sample(2, x_c, 3, x_s), MARGINS)
        assert chance.sum() == pytest.approx(1)
        assert edge_chance.sum() == pytest.approx(1)
        assert chance @ np.exp(state.log_harm) <= 1 + 1e-9
        assert edge_chance @ np.exp(state.log_safe) <= 1 + 1e-9

    @pytest.mark.parametrize("nuisance", ["steady", "incident", "day and night"])
    def test_of_a_thousand_good_rollouts_at_most_alpha_look_harmful_at_any_time(self, nuisance: str) -> None:
        """The worst case of the null: the candidate is always above stable by exactly the margin."""
        rng, runs, steps = np.random.default_rng(7), 1000, 80
        state, peak = fresh((runs,)), np.zeros(runs)
        for step in range(steps):
            rate = 0.02
            if nuisance == "incident" and 30 <= step < 45:
                rate = 0.5
            if nuisance == "day and night":
                rate = 0.02 * (1.5 + math.sin(step / 10))
            n_c = rng.poisson(5 if step < 40 else 40, runs)
            n_s = rng.poisson(45 if step < 40 else 60, runs)
            margin = margin_of(state.baseline, MARGINS)
            x_c, x_s = rng.binomial(n_c, rate + margin), rng.binomial(n_s, rate)
            state = advance(state, Sample(n_c, x_c, n_s, x_s), MARGINS)
            peak = np.maximum(peak, state.log_harm)
        assert np.mean(peak >= -math.log(ALPHA)) <= ALPHA

    def test_a_candidate_on_the_verge_of_unacceptable_is_rarely_called_safe(self) -> None:
        rng, runs = np.random.default_rng(8), 1000
        state, peak = fresh((runs,)), np.zeros(runs)
        for _ in range(80):
            n_c, n_s = rng.poisson(20, runs), rng.poisson(180, runs)
            worst = MARGINS.acceptable + margin_of(state.baseline, MARGINS)
            x_c, x_s = rng.binomial(n_c, 0.01 + worst), rng.binomial(n_s, 0.01)
            state = advance(state, Sample(n_c, x_c, n_s, x_s), MARGINS)
            peak = np.maximum(peak, state.log_safe)
        assert np.mean(peak >= -math.log(0.05)) <= 0.05


class TestFindsDifferences:
    def test_five_percent_errors_are_found_within_a_few_windows(self) -> None:
        state, windows = fresh(), 0
        while state.log_harm < -math.log(ALPHA):
            state, windows = advance(state, Sample(20, 1, 180, 0), MARGINS), windows + 1
        assert windows <= 8

    @pytest.mark.parametrize(("failing", "windows", "within"), [(0.1, 1, 10), (0.3, 1, 14), (0.9, 4, 22)])
    def test_after_an_incident_of_both_versions_a_bad_candidate_is_soon_found(
        self, failing: float, windows: int, within: int
    ) -> None:
        """50 requests/s, a tenth for a candidate with 5 % errors. First both versions fail for a few windows."""
        rng, runs, most = np.random.default_rng(6), 200, 36
        state, first = fresh((runs,)), np.full(runs, most)
        for at in range(most):
            both = failing if 1 <= at <= windows else 0.0
            n_c, n_s = rng.poisson(25, runs), rng.poisson(225, runs)
            bad = rng.binomial(n_c, min(1.0, 0.05 + both)), rng.binomial(n_s, both)
            state = advance(state, Sample(n_c, bad[0], n_s, bad[1]), MARGINS)
            first[(first == most) & (state.log_harm >= -math.log(ALPHA / 3))] = at
        assert np.median(first + 1) <= within

    def test_an_old_rate_is_dropped_within_a_window(self) -> None:
        state = fresh()
        for bad in (1, 0, 1, 120, 130):
            state = advance(state, Sample(25, 0, 225, bad), MARGINS)
        assert state.baseline > 0.3
        assert advance(state, Sample(25, 0, 225, 1), MARGINS).baseline < 0.01

    def test_a_steady_rate_is_kept_for_long(self) -> None:
        rng, state, sizes = np.random.default_rng(9), fresh((200,)), []
        for _ in range(100):
            state = advance(state, Sample(25, 0, 225, rng.binomial(225, 0.02, 200)), MARGINS)
            sizes.append(state.stable[:, 1])
        assert np.mean(sizes[-1] < 100 * 225 / 2) <= 0.02

    def test_a_good_candidate_is_shown_to_be_safe(self) -> None:
        state, windows = fresh(), 0
        while state.log_safe < -math.log(0.05):
            state, windows = advance(state, Sample(50, 0, 450, 1), MARGINS), windows + 1
        assert windows <= 15

    def test_more_weight_later_is_no_harm(self) -> None:
        """Simpson's paradox: added up, the candidate looks worse, because its weight rose during an incident."""
        state = fresh()
        for _ in range(30):
            state = advance(state, Sample(10, 0, 990, 2), MARGINS)
        for _ in range(30):
            state = advance(state, Sample(500, 100, 500, 100), MARGINS)
        assert state.log_harm < 0


class TestState:
    @given(windows, counted)
    def test_one_more_bad_answer_of_the_candidate_never_speaks_against_harm(
        self, before: list[tuple[int, float, int, float]], window: tuple[int, float, int, float]
    ) -> None:
        state, (n_c, x_c, n_s, x_s) = after(before), counts_of(window)
        if x_c >= n_c:
            return
        less = advance(state, Sample(n_c, x_c, n_s, x_s), MARGINS)
        more = advance(state, Sample(n_c, x_c + 1, n_s, x_s), MARGINS)
        assert more.log_harm >= less.log_harm - 1e-9
        assert more.log_safe <= less.log_safe + 1e-9

    @given(windows)
    def test_it_is_finite_after_anything(self, before: list[tuple[int, float, int, float]]) -> None:
        state = after(before)
        for one in (state.harm, state.safe, state.candidate, state.stable):
            assert np.isfinite(one).all()

    @given(windows)
    def test_a_window_without_requests_changes_nothing(self, before: list[tuple[int, float, int, float]]) -> None:
        state = after(before)
        again = advance(state, Sample(0, 0, 0, 0), MARGINS)
        assert again.log_harm == state.log_harm
        assert again.log_safe == state.log_safe
        assert again.baseline == state.baseline

    @given(windows, counted)
    def test_the_margin_comes_from_windows_before(
        self, before: list[tuple[int, float, int, float]], window: tuple[int, float, int, float]
    ) -> None:
        """All outcomes of one window have the same margin: the bettors' log wealth is linear in the outcome."""
        state, (n_c, _, n_s, _) = after(before), counts_of(window)
        if not (n_c and n_s):
            return
        gains = [advance(state, Sample(n_c, x, n_s, 0), MARGINS).harm - state.harm for x in (0, 1)]
        both = advance(state, Sample(n_c, n_c, n_s, 0), MARGINS).harm - state.harm
        np.testing.assert_allclose(both, gains[0] + (gains[1] - gains[0]) * n_c, rtol=1e-6, atol=1e-6)

    def test_many_side_by_side_are_each_as_one_alone(self) -> None:
        rng = np.random.default_rng(3)
        together, alone = fresh((3,)), [fresh() for _ in range(3)]
        for _ in range(10):
            n_c, n_s = rng.poisson(20, 3), rng.poisson(100, 3)
            x_c, x_s = rng.binomial(n_c, 0.1), rng.binomial(n_s, 0.05)
            together = advance(together, Sample(n_c, x_c, n_s, x_s), MARGINS)
            rows = zip(n_c, x_c, n_s, x_s, strict=True)
            alone = [advance(one, Sample(*row), MARGINS) for one, row in zip(alone, rows, strict=True)]
        np.testing.assert_allclose(together.log_harm, [one.log_harm for one in alone])
        np.testing.assert_allclose(together.log_safe, [one.log_safe for one in alone])


def mass(n: int, k: NDArray[np.int64], p: ArrayLike) -> NDArray[np.float64]:
    chosen = np.array([math.comb(n, at) for at in range(n + 1)])[k]
    return np.asarray(chosen * np.power(p, k) * np.power(1 - np.asarray(p), n - k), dtype=np.float64)
