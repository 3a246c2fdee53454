"""Bets on the cost of a row: no gain on average at the allowed ratio, and evidence above it."""

from __future__ import annotations

from math import log

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fairlead.rollout.analysis import cost_bets

costs = st.floats(1e-6, 10.0)


@given(costs, costs, st.floats(1, 10))
def test_an_exchange_of_the_versions_turns_the_score_around(one: float, other: float, ratio: float) -> None:
    """Where both are as likely, as at the edge of the null, the score is 0 on average."""
    forth = cost_bets.cost_score(ratio * one, other, ratio)
    back = cost_bets.cost_score(ratio * other, one, ratio)
    assert abs(forth + back) < 1e-9
    assert abs(forth) <= 1


@given(costs, costs, st.floats(1, 10), st.floats(0, 1))
def test_a_cheaper_candidate_never_scores_more(one: float, other: float, ratio: float, less: float) -> None:
    assert cost_bets.cost_score(one * less, other, ratio) <= cost_bets.cost_score(one, other, ratio)


def test_at_the_allowed_ratio_hardly_any_of_many_rollouts_reaches_its_threshold() -> None:
    random, rollouts, alpha = np.random.default_rng(16), 2000, 0.01
    state, reached = cost_bets.fresh((rollouts,)), np.zeros(rollouts, bool)
    for _ in range(200):
        mine, theirs = (random.lognormal(0, 0.2, rollouts) for _ in range(2))
        state = cost_bets.advance(state, 1.1 * mine, theirs, 1.1)
        reached |= cost_bets.log_harm(state) >= -log(alpha)
    assert reached.mean() <= alpha


def test_a_candidate_that_costs_1_3_times_as_much_is_found() -> None:
    random, rollouts = np.random.default_rng(16), 200
    state = cost_bets.fresh((rollouts,))
    for _ in range(120):
        mine, theirs = (random.lognormal(0, 0.2, rollouts) for _ in range(2))
        state = cost_bets.advance(state, 1.3 * mine, theirs, 1.1)
    assert (cost_bets.log_harm(state) >= log(100)).mean() > 0.9


def test_a_version_without_any_cost_is_no_error() -> None:
    state = cost_bets.advance(cost_bets.fresh(), 0.0, 1.0, 1.1)
    assert np.isfinite([cost_bets.log_harm(state), cost_bets.log_safe(state)]).all()
