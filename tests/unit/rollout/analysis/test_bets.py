"""The bet on one window, by exact enumeration: in the null no bet pays on average."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.rollout.analysis.bets import Sample, Side, log_bet, log_mean

rates = st.floats(0, 1)
margins = st.one_of(st.just(0.0), st.floats(1e-4, 0.5))
sizes = st.integers(1, 7)
counts = st.integers(0, 10**7)


def factor(
    n_c: float, x_c: float, n_s: float, x_s: float, bet: tuple[float, float], margin: float, side: Side = "above"
) -> float:
    candidate, stable = (np.array([rate]) for rate in bet)
    return float(log_bet(Sample(n_c, x_c, n_s, x_s), candidate, stable, margin, side=side)[0])


def expectation(
    n_c: int,
    n_s: int,
    bet: tuple[float, float],
    margin: float,
    truth: tuple[float, float],
    side: Side = "above",
    worth: tuple[float, float] = (1.0, 1.0),
) -> float:
    """E[S] over every outcome of a window of these sizes, with counts multiplied by `worth`."""
    total = 0.0
    for x_c, x_s in itertools.product(range(n_c + 1), range(n_s + 1)):
        chance = mass(n_c, x_c, truth[0]) * mass(n_s, x_s, truth[1])
        if chance:
            of_c, of_s = worth
            log_s = factor(n_c * of_c, x_c * of_c, n_s * of_s, x_s * of_s, bet, margin, side)
            total += chance * math.exp(log_s)
    return total


def mass(n: int, k: int, p: float) -> float:
    return math.comb(n, k) * p**k * (1 - p) ** (n - k)


class TestInTheNull:
    @given(n_c=sizes, n_s=sizes, bet=st.tuples(rates, rates), margin=margins, stable=rates, below=rates)
    def test_a_bet_on_harm_never_pays_on_average(
        self, n_c: int, n_s: int, bet: tuple[float, float], margin: float, stable: float, below: float
    ) -> None:
        candidate = max(0.0, min(1.0, stable + margin) * (1 - below))
        assert expectation(n_c, n_s, bet, margin, (candidate, stable)) <= 1 + 1e-9

    @given(
        n_c=sizes,
        n_s=sizes,
        bet=st.tuples(rates, rates),
        margin=margins,
        stable=rates,
        below=rates,
        worth=st.tuples(st.floats(1e-6, 1), st.floats(1e-6, 1)),
    )
    def test_a_bet_on_harm_with_discounted_requests_never_pays_on_average(
        self,
        n_c: int,
        n_s: int,
        bet: tuple[float, float],
        margin: float,
        stable: float,
        below: float,
        worth: tuple[float, float],
    ) -> None:
        candidate = max(0.0, min(1.0, stable + margin) * (1 - below))
        assert expectation(n_c, n_s, bet, margin, (candidate, stable), worth=worth) <= 1 + 1e-9

    @given(n_c=sizes, n_s=sizes, bet=st.tuples(rates, rates), margin=margins, stable=rates, above=rates)
    def test_a_bet_on_safety_never_pays_on_average(
        self, n_c: int, n_s: int, bet: tuple[float, float], margin: float, stable: float, above: float
    ) -> None:
        stable *= 1 - margin
        candidate = min(1.0, stable + margin + above * (1 - stable - margin))
        assert expectation(n_c, n_s, bet, margin, (candidate, stable), "below") <= 1 + 1e-9

    @pytest.mark.parametrize("margin", [0.0, 0.002, 0.1])
    @pytest.mark.parametrize("sizes", [(1, 9), (5, 5), (9, 1)])
    def test_on_the_edge_a_bet_pays_nothing_on_average_and_loses_little(
        self, sizes: tuple[int, int], margin: float
    ) -> None:
        assert 0.5 < expectation(*sizes, (0.3, 0.1), margin, (0.2 + margin, 0.2)) <= 1 + 1e-9


class TestOneBet:
    @given(n_c=counts, n_s=counts, bad=st.tuples(rates, rates), bet=st.tuples(rates, rates), margin=margins)
    def test_it_is_a_finite_number_whatever_was_counted(
        self, n_c: int, n_s: int, bad: tuple[float, float], bet: tuple[float, float], margin: float
    ) -> None:
        assert math.isfinite(factor(n_c, round(bad[0] * n_c), n_s, round(bad[1] * n_s), bet, margin))

    @given(n_c=sizes, n_s=sizes, bet=st.tuples(rates, rates), margin=margins, data=st.data())
    def test_a_bad_answer_of_the_candidate_speaks_for_harm_and_one_of_stable_against_it(
        self, n_c: int, n_s: int, bet: tuple[float, float], margin: float, data: st.DataObject
    ) -> None:
        if bet[0] <= bet[1] + margin:
            return
        x_c, x_s = data.draw(st.integers(0, n_c - 1)), data.draw(st.integers(0, n_s - 1))
        before = factor(n_c, x_c, n_s, x_s, bet, margin)
        assert factor(n_c, x_c + 1, n_s, x_s, bet, margin) >= before - 1e-9
        assert factor(n_c, x_c, n_s, x_s + 1, bet, margin) <= before + 1e-9

    @given(n_c=sizes, n_s=sizes, bet=st.tuples(rates, rates), margin=margins, bad=rates)
    def test_a_bet_that_is_itself_in_the_null_gives_no_evidence(
        self, n_c: int, n_s: int, bet: tuple[float, float], margin: float, bad: float
    ) -> None:
        side: Side = "below" if bet[0] >= bet[1] + margin else "above"
        assert factor(n_c, round(bad * n_c), n_s, 0, bet, margin, side) == 0

    @given(n=counts, bad=rates, bet=st.tuples(rates, rates), margin=margins)
    def test_a_window_in_which_one_arm_saw_nothing_is_no_evidence(
        self, n: int, bad: float, bet: tuple[float, float], margin: float
    ) -> None:
        assert factor(n, round(bad * n), 0, 0, bet, margin) == 0
        assert factor(0, 0, n, round(bad * n), bet, margin) == 0

    @given(n_c=st.integers(1, 5000), n_s=st.integers(1, 50_000), stable=rates, lift=rates, margin=margins)
    def test_the_projection_is_precise_enough_to_lose_no_evidence(
        self, n_c: int, n_s: int, stable: float, lift: float, margin: float
    ) -> None:
        """E[S] on the edge at the projected point is 1; rounding costs less than a hundredth."""
        candidate = stable + margin + lift
        if not (margin >= 1e-3 and stable >= 1e-5 and candidate <= 1 - 1e-5):
            return
        expected = n_c * candidate, n_s * stable
        gained = factor(n_c, expected[0], n_s, expected[1], (candidate, stable), margin)
        assert gained >= -0.01, "a bet that comes true as expected cannot lose"


class TestMean:
    @given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
    def test_it_lies_between_the_greatest_and_its_share_of_the_whole(self, logs: list[float]) -> None:
        mean = float(log_mean(np.array(logs)))
        assert max(logs) - math.log(len(logs)) - 1e-6 <= mean <= max(logs) + 1e-6
