"""One rate against a limit: exact where possible, simulated for evaluation after every observation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.rollout.analysis.one_sample import log_harm, log_safe

limits = st.floats(0.001, 0.9)


def expectation(side: object, n: int, limit: float, truth: float) -> float:
    hits = np.arange(n + 1)
    chances = np.array([math.comb(n, k) * truth**k * (1 - truth) ** (n - k) for k in hits])
    return float(chances @ np.exp(side(hits, n, limit)))  # type: ignore[operator]


@given(n=st.integers(1, 60), limit=limits, below=st.floats(0, 1))
def test_harm_never_pays_on_average_at_or_below_the_limit(n: int, limit: float, below: float) -> None:
    assert expectation(log_harm, n, limit, limit * below) <= 1 + 1e-9


@given(n=st.integers(1, 60), limit=limits, above=st.floats(0, 1))
def test_safety_never_pays_on_average_at_or_above_the_limit(n: int, limit: float, above: float) -> None:
    assert expectation(log_safe, n, limit, limit + above * (1 - limit)) <= 1 + 1e-9


@given(n=st.integers(1, 10**6), limit=limits, data=st.data())
def test_a_hit_more_speaks_for_harm_and_against_safety(n: int, limit: float, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n - 1))
    assert log_harm(hits + 1, n, limit) >= log_harm(hits, n, limit) - 1e-9
    assert log_safe(hits + 1, n, limit) <= log_safe(hits, n, limit) + 1e-9
    assert math.isfinite(log_harm(hits, n, limit))
    assert math.isfinite(log_safe(hits, n, limit))


@pytest.mark.parametrize(("truth", "harmful", "safe"), [(0.02, 0.01, 0.05), (0.10, 1.0, 0.001)])
def test_looking_after_every_pair_keeps_the_promise(truth: float, harmful: float, safe: float) -> None:
    """500 comparisons of 1,000 pairs, evaluated after every pair; the limit is 2 %."""
    rng = np.random.default_rng(5)
    hits = (rng.random((500, 1000)) < truth).cumsum(axis=1)
    n = np.arange(1, 1001)
    found = np.mean((log_harm(hits, n, 0.02) >= math.log(100)).any(axis=1))
    proven = np.mean((log_safe(hits, n, 0.02) >= math.log(20)).any(axis=1))
    assert found <= harmful if harmful < 1 else found == 1
    assert proven <= safe


def test_a_swapped_class_order_is_found_within_a_few_pairs_and_an_identical_one_proven() -> None:
    """Swapped classes are found within 500 pairs, and an identical candidate is shown to be safe."""
    assert float(log_harm(10, 10, 0.02)) >= math.log(100)
    assert float(log_safe(0, 500, 0.02)) >= math.log(20)


@pytest.mark.parametrize("limit", [0.0, 1.0, -0.1, math.nan])
def test_a_limit_that_leaves_nothing_to_bet_on_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="leaves nothing to bet on"):
        log_harm(0, 1, limit)
