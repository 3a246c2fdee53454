from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.calibration import knee
from unit.calibration.simulated import point

curves = st.lists(st.tuples(st.floats(1, 1e4), st.floats(0.001, 10)), min_size=1, unique_by=lambda one: one[0])


@given(curves, st.floats(0.001, 10))
def test_the_knee_is_between_the_highest_rate_that_met_the_goal_and_the_next(
    measured: list[tuple[float, float]], goal_s: float
) -> None:
    points = [point(rate, p95) for rate, p95 in measured]
    found = knee.find(points, goal_s)
    met = [rate for rate, p95 in measured if p95 <= goal_s]
    missed = [rate for rate, p95 in measured if met and p95 > goal_s and rate > max(met)]
    if not met or not missed:
        assert found is None
        return
    assert found is not None
    assert (found.met.rate, found.missed.rate) == (max(met), min(missed))
    assert max(met) <= found.rate <= min(missed)
    assert 0 <= found.spread < math.inf


def test_the_curve_is_exponential_between_the_two() -> None:
    found = knee.find([point(100, 0.01), point(200, 0.16)], 0.04)
    assert found is not None
    assert found.rate == pytest.approx(150)


def test_what_a_service_answers_under_too_much_load_is_the_most_that_the_knee_can_be() -> None:
    overloaded = point(400, 5.0, answered_rate=120.0)
    found = knee.find([point(100, 0.01), overloaded], 1.0)
    assert found is not None
    assert found.rate == pytest.approx(120)


def test_a_short_window_cannot_show_more_than_the_service_answers() -> None:
    found = knee.find([point(103, 0.9), point(200, 5.0, answered_rate=100.0)], 1.0)
    assert found is not None
    assert found.rate == pytest.approx(100)
    disturbed = knee.find([point(103, 0.9), point(200, 5.0, answered_rate=60.0)], 1.0)
    assert disturbed is not None
    assert disturbed.rate >= 103


def test_a_window_that_was_disturbed_is_no_bound() -> None:
    """It answered less than the service had answered at a lower rate."""
    assert knee.bound(point(400, math.inf, answered_rate=50.0), met_rate=100.0) == 400


@pytest.mark.parametrize("changed", [{"failed": {"429": 1}}, {"stopped_early": True}], ids=str)
def test_a_rate_that_lost_requests_does_not_meet_the_goal(changed: dict[str, object]) -> None:
    assert knee.is_met(point(100, 0.01), 0.02)
    assert not knee.is_met(point(100, 0.01, **changed), 0.02)


def test_without_a_goal_ten_times_what_one_request_takes_is_in_time_and_at_least_10_ms() -> None:
    assert knee.goal(None, 0.02) == pytest.approx(0.2)
    assert knee.goal(None, 0.0004) == pytest.approx(0.01)
    assert knee.goal(0.005, 0.02) == 0.005
