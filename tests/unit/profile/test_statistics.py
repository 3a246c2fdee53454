from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from fairlead.profile import statistics

counts = st.integers(2, 25).flatmap(
    lambda bins: st.tuples(*[st.lists(st.integers(0, 10**6), min_size=bins, max_size=bins)] * 2)
)


@given(st.integers(1, 30), st.sampled_from([0.05, 0.01, 0.001]))
def test_the_quantile_of_chi_squared_is_that_of_scipy(degrees: int, exceeded: float) -> None:
    expected = stats.chi2.isf(exceeded, degrees)
    assert statistics.chi_squared_quantile(exceeded, degrees) == pytest.approx(expected, rel=1e-12)


@given(counts)
def test_the_distances_are_those_of_scipy(both: tuple[list[int], list[int]]) -> None:
    p, q = statistics.shares(both[0]), statistics.shares(both[1])
    psi = stats.entropy(p, q) + stats.entropy(q, p)
    assert statistics.psi(*both) == pytest.approx(psi, rel=1e-9, abs=1e-12)
    assert statistics.js_divergence(*both) == pytest.approx(distance.jensenshannon(p, q, 2) ** 2, abs=1e-9)
    assert statistics.total_variation(*both) == pytest.approx(np.abs(p - q).sum() / 2)
    assert statistics.largest_difference(*both) == pytest.approx(distance.chebyshev(p, q))


@given(counts)
def test_distances_are_symmetric_not_negative_and_zero_for_equal_counts(both: tuple[list[int], list[int]]) -> None:
    for measure in (statistics.psi, statistics.js_divergence, statistics.total_variation):
        assert measure(*both) == pytest.approx(measure(*both[::-1]))
        assert measure(*both) >= -1e-12
        assert measure(both[0], both[0]) == pytest.approx(0, abs=1e-12)


def test_without_drift_psi_has_the_mean_and_the_quantile_of_the_critical_value() -> None:
    random, bins, live, reference, tries = np.random.default_rng(7), 10, 500, 50_000, 4000
    even = np.full(bins, 1 / bins)
    found = np.array(
        [statistics.psi(random.multinomial(live, even), random.multinomial(reference, even)) for _ in range(tries)]
    )
    assert found.mean() == pytest.approx((bins - 1) * (1 / live + 1 / reference), rel=0.05)
    critical = statistics.chi_squared_quantile(0.01, bins - 1)
    exceeded = (found > statistics.psi_critical(critical, live, reference)).mean()
    assert exceeded == pytest.approx(0.01, abs=0.005)


def test_no_row_is_never_drift() -> None:
    assert statistics.psi_critical(27.9, 0, 1000) == math.inf
    assert statistics.psi([0, 0], [500, 500]) == pytest.approx(0)
