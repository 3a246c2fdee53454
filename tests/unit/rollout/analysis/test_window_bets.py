"""Bets on windows: no pay on average when the candidate is no worse, whatever depends on what inside a window."""

from __future__ import annotations

import itertools
import math
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fairlead.rollout.analysis import window_bets
from fairlead.rollout.analysis.bets import Sample
from fairlead.rollout.analysis.window_bets import (
    ENOUGH,
    absolute_score,
    advance,
    confirmed,
    fresh,
    is_confirmed,
    log_wealth,
    relative_score,
    tally,
)

MARGIN = np.float64(0.002)
sizes = st.integers(1, 12)
margins = st.sampled_from([0.0, 0.002, 0.01, 0.05, 0.2])


def mass(n: int, rate: float) -> NDArray[np.float64]:
    """The probability of each count of failures among n independent requests."""
    return np.array([math.comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(n + 1)])


def scores(n_c: int, n_s: int, margin: float) -> NDArray[np.float64]:
    """The relative score of every outcome of a window."""
    x_c, x_s = np.meshgrid(np.arange(n_c + 1), np.arange(n_s + 1), indexing="ij")
    return relative_score(Sample(n_c, x_c, n_s, x_s), np.float64(margin))


def expected_factor(chance: NDArray[np.float64], score: NDArray[np.float64]) -> float:
    """The largest expected factor of a bettor on this score, over all bettors."""
    return max(float((chance * (1 + share * score)).sum()) for share in (0.15, 0.4, 0.7, 0.95))


class TestTheRelativeScore:
    @given(sizes, sizes, margins, st.floats(0, 1))
    def test_independent_requests_do_not_pay_at_any_rate_and_any_sizes(
        self, n_c: int, n_s: int, margin: float, rate: float
    ) -> None:
        """Exact, at the edge of the null: the candidate's rate is stable's plus the margin."""
        chance = np.outer(mass(n_c, min(1.0, rate + margin)), mass(n_s, rate))
        assert expected_factor(chance, scores(n_c, n_s, margin)) <= 1 + 1e-9

    @given(sizes, st.lists(st.floats(0, 1), min_size=1, max_size=4), st.data())
    def test_rates_that_differ_from_window_to_window_for_each_version_alone_do_not_pay(
        self, n: int, rates: list[float], data: st.DataObject
    ) -> None:
        """Clumps: a version's rate is drawn anew for each window, independently of the other version's."""
        n_s = data.draw(st.integers(1, 12))
        arms = [np.mean([mass(size, rate) for rate in rates], axis=0) for size in (n, n_s)]
        assert expected_factor(np.outer(*arms), scores(n, n_s, 0.0)) <= 1 + 1e-9

    @given(sizes, st.data())
    def test_any_dependence_within_and_between_the_versions_does_not_pay(self, n: int, data: st.DataObject) -> None:
        """Any joint distribution of both counts in which an exchange of the versions changes nothing."""
        shape = (n + 1) * (n + 1)
        drawn = data.draw(st.lists(st.floats(0, 1), min_size=shape, max_size=shape))
        weights = np.array(drawn).reshape(n + 1, n + 1) + 1e-6
        chance = (weights + weights.T) / (weights + weights.T).sum()
        assert expected_factor(chance, scores(n, n, 0.0)) <= 1 + 1e-9

    @given(st.integers(1, 6), st.integers(1, 5), st.data())
    def test_versions_whose_requests_share_causes_do_not_pay_with_unequal_sizes(
        self, n: int, times: int, data: st.DataObject
    ) -> None:
        """Both versions draw their requests at random from the same troubled minute, with any number of bad ones."""
        n_s = n * times
        whole = n + n_s
        bad = data.draw(st.integers(0, whole))
        chance = np.zeros((n + 1, n_s + 1))
        for x_c in range(max(0, bad - n_s), min(n, bad) + 1):
            chance[x_c, bad - x_c] = math.comb(n, x_c) * math.comb(n_s, bad - x_c) / math.comb(whole, bad)
        assert expected_factor(chance, scores(n, n_s, 0.0)) <= 1 + 1e-9
        assert expected_factor(chance.T, scores(n_s, n, 0.0)) <= 1 + 1e-9

    @given(st.integers(1, 10), st.integers(1, 6), st.floats(0.01, 0.99))
    def test_a_candidate_that_fails_in_batches_does_not_pay_although_stable_does_not(
        self, n: int, times: int, rate: float
    ) -> None:
        """All requests of the candidate's window fail together, or none: the same mean rate, but more clumped."""
        chance = np.outer(np.concatenate([[1 - rate], np.zeros(n - 1), [rate]]), mass(n * times, rate))
        assert expected_factor(chance, scores(n, n * times, 0.0)) <= 1 + 1e-9

    @given(st.integers(0, 10**6), st.floats(0, 1), st.integers(0, 10**7), st.floats(0, 1), st.floats(0, 1))
    def test_it_lies_between_minus_one_and_one_for_any_window(
        self, n_c: int, bad_c: float, n_s: int, bad_s: float, margin: float
    ) -> None:
        sample = Sample(n_c, round(bad_c * n_c), n_s, round(bad_s * n_s))
        assert -1 <= relative_score(sample, np.float64(margin)) <= 1 + 1e-9

    def test_a_window_without_failures_says_nothing(self) -> None:
        assert relative_score(Sample(10, 0, 90, 0), np.float64(0)) == 0
        assert relative_score(Sample(10, 0, 90, 0), MARGIN) == pytest.approx(0, abs=0.03)

    @given(st.integers(1, 8), st.integers(1, 24), st.data())
    def test_it_is_never_above_the_exact_expectation_over_the_draw(
        self, n_c: int, n_s: int, data: st.DataObject
    ) -> None:
        x_c, x_s = data.draw(st.integers(0, n_c)), data.draw(st.integers(0, n_s))
        drawn = min(n_c, n_s)
        exact = 0.0
        for x, y in itertools.product(range(drawn + 1), repeat=2):
            chance = _hypergeometric(n_c, x_c, drawn, x) * _hypergeometric(n_s, x_s, drawn, y)
            exact += chance * ((x - y) / (x + y) if x + y else 0)
        assert relative_score(Sample(n_c, x_c, n_s, x_s), np.float64(0)) <= exact + 1e-9


@given(sizes, sizes, margins, st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_the_absolute_score_needs_only_the_mean_rate(n_c: int, n_s: int, margin: float, rates: list[float]) -> None:
    """One version is clumped, the other steady, in either role, with the same mean."""
    mean = float(np.mean(rates))
    clumped, even = (
        [np.mean([mass(n, rate) for rate in several], axis=0) for n in (n_c, n_s)] for several in (rates, [mean])
    )
    for chance in (np.outer(clumped[0], even[1]), np.outer(even[0], clumped[1])):
        x_c, x_s = np.meshgrid(np.arange(n_c + 1), np.arange(n_s + 1), indexing="ij")
        score = absolute_score(Sample(n_c, x_c, n_s, x_s), np.float64(margin))
        assert (chance * score).sum() <= 1e-9


class TestOverWindows:
    def test_three_windows_never_pay_on_average(self) -> None:
        """Exact: every outcome of three windows in which rates jump and are clumped."""
        paths = np.array(list(itertools.product(itertools.product(range(3), range(4)), repeat=3)))
        state, chance = fresh((len(paths),)), np.ones(len(paths))
        for at, rates in enumerate(([0.0, 0.9], [0.5, 0.5], [0.1, 1.0])):
            arms = [np.mean([mass(n, rate) for rate in rates], axis=0) for n in (2, 3)]
            x_c, x_s = paths[:, at, 0], paths[:, at, 1]
            chance = chance * arms[0][x_c] * arms[1][x_s]
            state = advance(state, Sample(2, x_c, 3, x_s), 0.0, worth=1e-30, mirrored=False)
        assert chance.sum() == pytest.approx(1)
        assert chance @ np.exp(log_wealth(state)) <= 1 + 1e-9

    @pytest.mark.parametrize(("n_c", "n_s"), [(20, 180), (100, 100), (180, 20)])
    @pytest.mark.parametrize("variation", [1.0, 2.0])
    def test_of_many_good_releases_few_are_confirmed_whatever_the_clumps(
        self, n_c: int, n_s: int, variation: float
    ) -> None:
        """The weight rises, both versions' rates are clumped, and no bettor starts again."""
        rng, runs, most = np.random.default_rng(4), 500, 120
        state, ever = fresh((runs,)), np.zeros(runs, bool)
        for _ in range(most):
            rates = np.minimum(0.95, 0.05 * rng.gamma(variation**-2, variation**2, (2, runs)))
            sample = Sample(n_c, rng.binomial(n_c, rates[0]), n_s, rng.binomial(n_s, rates[1]))
            state = advance(state, sample, MARGIN, worth=1e-30, mirrored=False)
            ever |= log_wealth(state) >= ENOUGH
        assert ever.mean() <= 1 / 7

    def test_half_of_the_requests_failing_is_confirmed_after_three_windows(self) -> None:
        states = _states([Sample(10, 5, 90, 0)] * 3)
        assert [bool(is_confirmed(one)) for one in states] == [False, False, True]

    def test_five_percent_are_confirmed_after_five_windows_that_say_so(self) -> None:
        states = _states([Sample(25, 1, 225, 0)] * 5)
        assert [bool(is_confirmed(one)) for one in states] == [False, False, False, False, True]

    def test_one_bad_window_confirms_nothing_however_bad(self) -> None:
        state = _states([Sample(10_000, 10_000, 10_000, 0)])[-1]
        assert not is_confirmed(state)
        assert confirmed(np.float64(500.0), state) < math.log(2)

    def test_evidence_that_is_confirmed_counts_in_full_and_is_never_more(self) -> None:
        state = _states([Sample(10, 10, 90, 0)] * 4)[-1]
        assert confirmed(np.float64(6.5), state) == 6.5
        assert confirmed(np.float64(0.5), _states([Sample(10, 10, 90, 0)])[-1]) <= 0.5

    def test_where_requests_are_independent_a_late_fault_is_confirmed_as_soon_as_an_early_one(self) -> None:
        rng = np.random.default_rng(1)
        good = [Sample(100, x_c, 900, x_s) for x_c, x_s in zip(rng.poisson(1, 300), rng.poisson(9, 300), strict=True)]
        early, late = (len(_until_confirmed(before, Sample(100, 10, 900, 9))) for before in ([], good))
        assert late <= early + 1

    def test_a_rate_above_one_half_is_compared_by_its_good_requests(self) -> None:
        """98 of 100 slow answers against 90 are hardly more; 10 good ones are five times as many as 2."""
        plain, mirrored = (
            advance(fresh(()), Sample(100, 98, 100, 90), 0.0, worth=1.0, mirrored=flag) for flag in (False, True)
        )
        assert log_wealth(mirrored) > log_wealth(plain) + 0.1

    def test_it_counts_the_windows_that_say_the_same(self) -> None:
        samples = [Sample(10, 2, 90, 0), Sample(10, 0, 90, 1), Sample(10, 0, 90, 0), Sample(10, 1, 90, 0)]
        assert tuple(map(int, tally(_states(samples)[-1]))) == (2, 3)

    @settings(max_examples=50)
    @given(
        st.lists(st.tuples(st.integers(1, 500), st.floats(0, 1), st.integers(1, 5000), st.floats(0, 1)), max_size=20)
    )
    def test_it_is_finite_after_anything(self, windows: list[tuple[int, float, int, float]]) -> None:
        samples = [Sample(n_c, round(a * n_c), n_s, round(b * n_s)) for n_c, a, n_s, b in windows]
        for state in _states(samples):
            assert np.isfinite(state).all()


def _hypergeometric(n: int, bad: int, drawn: int, found: int) -> float:
    return math.comb(bad, found) * math.comb(n - bad, drawn - found) / math.comb(n, drawn)


def _states(samples: list[Sample]) -> list[NDArray[np.float64]]:
    found = itertools.accumulate(samples, _next, initial=fresh(()))
    return [*found][1:]


def _next(state: NDArray[np.float64], sample: Sample) -> NDArray[np.float64]:
    return advance(state, sample, MARGIN, worth=1.0, mirrored=False)


def _until_confirmed(before: list[Sample], bad: Sample) -> list[Sample]:
    state, needed = reduce(_next, before, window_bets.fresh(())), list[Sample]()
    while not is_confirmed(state):
        state, needed = _next(state, bad), [*needed, bad]
    return needed
