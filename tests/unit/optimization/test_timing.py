from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.optimization.timing import LEAST_PAIRS, ratio, times


def test_a_machine_that_slows_down_makes_no_difference() -> None:
    speeds = [1.0, 1.5, 4.0, 2.0, 1.0, 3.0, 1.2, 2.2, 1.1, 5.0]
    found = ratio([(0.01 * speed, 0.02 * speed) for speed in speeds])
    assert found.median == pytest.approx(2)
    assert found.low == found.high == pytest.approx(2)
    assert found.is_slower_than(1.05)


@given(st.lists(st.tuples(st.floats(1e-4, 1), st.floats(1e-4, 1)), min_size=1, max_size=LEAST_PAIRS - 1))
def test_too_few_pairs_show_nothing(pairs: list[tuple[float, float]]) -> None:
    found = ratio(pairs)
    assert not found.is_faster
    assert not found.is_slower_than(1)
    assert found.said == "no difference shown"


def test_equal_services_are_seldom_said_to_differ() -> None:
    chance = random.Random(0)

    def differs() -> bool:
        return ratio([(chance.lognormvariate(0, 1), chance.lognormvariate(0, 1)) for _ in range(20)]).said[0] != "n"

    assert sum(differs() for _ in range(2000)) < 40  # 1 %


def test_a_service_that_takes_twice_as_long_is_found_in_noise() -> None:
    chance = random.Random(0)
    pairs = [(chance.lognormvariate(0, 0.2), 2 * chance.lognormvariate(0, 0.2)) for _ in range(20)]
    assert ratio(pairs).said == "slower"
    assert ratio([(other, one) for one, other in pairs]).said == "faster"


def test_requests_without_an_answer_make_it_slower() -> None:
    assert ratio([(0.01, math.inf)] * 10).is_slower_than(100)


def test_the_times_are_the_medians_of_the_windows() -> None:
    found = times(50.0, [(1.0, 2.0), (3.0, 4.0), (9.0, 9.0)], [(2.0, 3.0)] * 3)
    assert (found.original_p50_s, found.candidate_p50_s, found.original_p95_s) == (3.0, 4.0, 2.0)
    assert found.pairs == 3
