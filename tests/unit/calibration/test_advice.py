from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.calibration import advice, knee
from fairlead.calibration.advice import Curve
from fairlead.calibration.points import Point
from fairlead.calibration.run import settings_to_try
from fairlead.contracts.manifest import Batching
from unit.calibration.simulated import point


def curve(rate: float, max_rows: int = 1, *, missed: Point | None = None) -> Curve:
    """A curve with its knee near this rate."""
    points = [point(rate, 0.09), missed or point(rate * 1.02, 0.11)]
    return Curve(Batching(max_rows=max_rows), "invariant", 0.01, 0.1, points, knee.find(points, 0.1))


def test_the_target_is_two_thirds_of_the_requests_in_flight_at_the_knee() -> None:
    found = curve(100.0).knee
    assert found is not None
    assert advice.in_flight_at(found) == pytest.approx(found.rate * 0.045)
    assert advice.target_in_flight(found) == 3


@given(st.floats(0.001, 1e5), st.floats(1e-5, 10))
def test_a_target_has_two_digits_and_can_be_counted(rate: float, mean_s: float) -> None:
    met = replace(point(rate, 1.0), service_mean_s=mean_s)
    found = advice.target_in_flight(knee.Knee(rate, met, point(rate * 2, 5.0)))
    assert found >= advice.LEAST
    assert float(f"{found:.2g}") == found
    assert found == pytest.approx(max(rate * mean_s * 2 / 3, 0.1), rel=0.06)


def test_the_manifests_setting_stays_unless_another_is_clearly_better() -> None:
    stated, little, much = curve(100, 16), curve(115, 64), curve(200, 64)
    assert advice.best([stated, little]) is stated
    assert advice.best([stated, much]) is much


def test_of_settings_that_are_about_as_good_the_one_with_the_fewest_rows_is_best() -> None:
    few, many = curve(290, 32), curve(300, 128)
    assert advice.best([curve(100, 16), many, few]) is few


def test_a_knee_that_the_load_generator_made_is_not_sure() -> None:
    busy = curve(100, missed=point(150, 0.2, generator_share=0.97, late_p95_s=0.002))
    assert not busy.is_sure
    assert "the load generator was the limit: it used 97% of a core at 150 requests/s" in busy.why_unsure
    assert advice.best([busy]) is None


@pytest.mark.parametrize("changed", [{"late_p95_s": 0.1}, {"machine_was_full": True}], ids=str)
def test_a_knee_that_other_processes_made_is_not_sure(changed: dict[str, object]) -> None:
    found = curve(100, missed=point(150, 0.2, others_cores=1.6, **changed))
    assert not found.is_sure
    assert found.why_unsure.startswith("other processes used 1.6 cores at 150 requests/s, and kept the load")


def test_without_a_knee_it_says_why() -> None:
    never = Curve(Batching(), "invariant", 0.01, 0.1, [point(10, 0.5)], None)
    assert (never.why_unsure, never.highest_met) == ("no rate met the goal", 0.0)
    short = Curve(Batching(), "invariant", 0.01, 0.1, [point(10, 0.05)], None)
    assert (short.why_unsure, short.highest_met) == ("the time was up before the goal was missed", 10)


def test_a_model_that_does_not_batch_is_measured_once() -> None:
    assert settings_to_try(Batching(max_rows=1), [Batching(max_rows=8)], can_batch=False) == [Batching(max_rows=1)]


def test_the_manifests_setting_is_measured_first_and_none_twice() -> None:
    usual = settings_to_try(Batching(max_rows=16), None, can_batch=True)
    assert usual == [
        Batching(max_rows=16),
        Batching(max_rows=1),
        Batching(max_rows=64),
        Batching(max_rows=16, max_wait_ms=2),
    ]
    asked = settings_to_try(Batching(max_rows=16), [Batching(max_rows=16), Batching(max_rows=2)], can_batch=True)
    assert asked == [Batching(max_rows=16), Batching(max_rows=2)]
