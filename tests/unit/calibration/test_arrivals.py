from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from fairlead.calibration.arrivals import plan

rates = st.floats(0.5, 5000)
lengths = st.floats(0.1, 5)


@given(rates, lengths, st.integers(0, 2**32))
def test_a_window_has_exactly_its_rate_of_requests_in_order(rate: float, seconds: float, seed: int) -> None:
    due = plan(rate, seconds, seed)
    assert len(due) == round(rate * seconds)
    assert due == sorted(due)
    assert all(0 < one < seconds for one in due)


@given(rates, lengths, st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_window(rate: float, seconds: float, seed: int) -> None:
    assert plan(rate, seconds, seed) == plan(rate, seconds, seed)


@given(st.integers(0, 2**32))
def test_gaps_are_exponential(seed: int) -> None:
    due = plan(100.0, 50.0, seed)
    gaps = [after - before for before, after in zip(due, due[1:], strict=False)]
    longer = sum(gap > 0.01 for gap in gaps) / len(gaps)
    assert abs(longer - math.exp(-1)) < 0.05


@given(st.integers(0, 2**32), st.floats(1.1, 3.0))
def test_a_higher_rate_has_the_same_gaps_but_shorter(seed: int, times: float) -> None:
    slow, fast = plan(50.0, 4.0, seed), plan(50.0 * times, 4.0 / times, seed)
    assert [round(one / times, 9) for one in slow] == [round(one, 9) for one in fast]
