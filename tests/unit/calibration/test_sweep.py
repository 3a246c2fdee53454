from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.calibration import knee
from fairlead.calibration.knee import Knee
from fairlead.calibration.points import Point
from fairlead.calibration.sweep import CLOSE, Sweep
from unit.calibration.simulated import SimulatedService, point


def found_by(
    service: SimulatedService, seconds: float = 60.0, goal_s: float | None = None
) -> tuple[Knee | None, Sweep]:
    sweep = Sweep(knee.goal(goal_s, service.call_s), service.call_s, seconds)
    for _ in sweep.run(service.measure, service.clock):
        pass
    return sweep.found, sweep


@settings(max_examples=25, deadline=None)
@given(st.floats(0.001, 0.03), st.integers(0, 100))
def test_the_knee_of_calls_of_a_fixed_length_is_that_of_queueing_theory(call_s: float, seed: int) -> None:
    """In an M/D/1 queue 95 % take at most ten times the call up to a load of 0.846 (simulated with 2,000,000 calls).

    A window has some hundred calls, of which the luckiest of three counts.
    """
    found, _ = found_by(SimulatedService(call_s, seed=seed))
    assert found is not None
    assert 0.72 < found.rate * call_s < 1.01


@settings(max_examples=10, deadline=None)
@given(st.sampled_from([4, 16, 64]), st.integers(0, 100))
def test_the_knee_of_a_model_that_batches_is_near_its_rows_per_second(batch: int, seed: int) -> None:
    found, _ = found_by(SimulatedService(0.01, batch, seed=seed))
    assert found is not None
    assert found.rate == pytest.approx(batch / 0.01, rel=0.2)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.001, 0.2), st.floats(5, 60), st.integers(0, 100))
def test_a_sweep_ends_in_its_time(call_s: float, seconds: float, seed: int) -> None:
    service = SimulatedService(call_s, seed=seed)
    found_by(service, seconds)
    assert service.now <= 1.5 * seconds + 20 * call_s


def test_twice_gives_the_same_numbers() -> None:
    first, _ = found_by(SimulatedService(0.01))
    second, _ = found_by(SimulatedService(0.01))
    assert first is not None
    assert second is not None
    assert first.rate == second.rate


def test_it_goes_down_where_even_the_first_rate_is_too_much() -> None:
    """The calls are slower under load than alone, as with a lock."""
    service = SimulatedService(0.01)
    sweep = Sweep(0.1, 0.002, 30.0)
    for _ in sweep.run(service.measure, service.clock):
        pass
    assert sweep.points[0].rate == pytest.approx(250)
    assert sweep.found is not None
    assert sweep.found.rate == pytest.approx(90, rel=0.15)


def test_a_goal_that_no_rate_meets_gives_no_knee() -> None:
    found, sweep = found_by(SimulatedService(0.01), seconds=20.0, goal_s=0.005)
    assert found is None
    assert sweep.points


def test_the_knee_is_narrowed_down() -> None:
    found, sweep = found_by(SimulatedService(0.005))
    assert found is not None
    assert knee.bound(found.missed, found.met.rate) / found.met.rate <= CLOSE
    assert sweep.next_window() is None


class Disturbed:
    """A service that meets the goal up to 100 requests/s, and in every third window is disturbed by another process."""

    def __init__(self) -> None:
        self.now, self.windows = 0.0, 0

    def measure(self, rate: float, seconds: float, goal_s: float, seed: int) -> Point:
        """A window."""
        self.now += seconds
        self.windows += 1
        if rate > 100:
            return point(rate, math.inf, answered_rate=104.0, stopped_early=True)
        return point(rate, goal_s * 3 if self.windows % 3 == 0 else goal_s / 2)


def test_a_window_that_another_process_disturbed_is_measured_again() -> None:
    service = Disturbed()
    sweep = Sweep(0.1, 0.01, 60.0)
    for _ in sweep.run(service.measure, lambda: service.now):
        pass
    assert all(knee.is_met(one, 0.1) for one in sweep.points if one.rate <= 100)
    assert sweep.found is not None
    assert sweep.found.rate == pytest.approx(102, rel=0.05)
