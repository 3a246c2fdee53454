from __future__ import annotations

import dataclasses
import json

import pytest

from fairlead.calibration import knee
from fairlead.calibration.advice import Curve
from fairlead.calibration.points import Point
from fairlead.calibration.result import Result
from fairlead.cli import calibration_table
from fairlead.contracts.manifest import Batching
from unit.calibration.simulated import point


def curve(rate: float, batching: Batching, **changed: object) -> Curve:
    """A curve whose knee is at this rate."""
    points: list[Point] = [point(rate, 0.0999999), point(rate * 1.02, 0.2, **changed)]
    return Curve(batching, "invariant", 0.01, 0.1, points, knee.find(points, 0.1))


def shown(capsys: pytest.CaptureFixture[str], *curves: Curve, rows: int = 1) -> str:
    """What is printed, with single spaces."""
    calibration_table.show(Result("iris", "1.0.0", rows, 2, 1, 4, curves), curves[0].batching)
    return " ".join(capsys.readouterr().out.split())


def test_a_row_has_what_was_found_for_a_setting(capsys: pytest.CaptureFixture[str]) -> None:
    said = shown(capsys, curve(1000, Batching(max_rows=16)), curve(100, Batching(max_rows=1)), rows=2)
    assert "16 rows (manifest) 1,000 ± 2% 2,000 10 ms 100 ms 50 0.5 ms 1 MiB best" in said
    assert "off 100 ± 2% 200 10 ms 100 ms 5 0.5 ms 1 MiB" in said
    assert "one instance: threads 2, workers 1, 4 cores; 2 rows per request" in said


def test_it_says_what_to_write_where(capsys: pytest.CaptureFixture[str]) -> None:
    said = shown(capsys, curve(100, Batching(max_rows=16)), curve(1000, Batching(max_rows=64, max_wait_ms=2)))
    assert "batching: 64 rows, wait 2 ms; --write puts it into the manifest" in said
    assert "target: 33 requests in flight in a pod, two thirds of those at the knee." in said
    assert "workload: {autoscaling: {target: {inFlight: 33}}}" in said
    assert "warning" not in said


def test_without_a_sure_number_there_is_a_bound_and_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    said = shown(capsys, curve(100, Batching(max_rows=1), generator_share=0.95))
    assert "off (manifest) >= 100 - 10 ms 100 ms - - - the load generator was the limit" in said
    assert "no number is sure, so nothing is recommended; what helps is more rows in a request: --rows" in said


def test_it_says_what_helps_against_each_reason(capsys: pytest.CaptureFixture[str]) -> None:
    busy = curve(100, Batching(max_rows=1), machine_was_full=True, others_cores=1.5)
    assert "what helps is a quiet machine: end what else runs on it" in shown(capsys, busy)
    short = dataclasses.replace(curve(100, Batching(max_rows=1)), knee=None)
    assert "what helps is a longer time: --seconds" in shown(capsys, short)
    strict = dataclasses.replace(short, goal_s=0.001)
    assert "and a goal that one request alone can meet: --p95" in shown(capsys, short, strict)


def test_a_model_whose_rows_share_no_call_is_told_why(capsys: pytest.CaptureFixture[str]) -> None:
    alone = dataclasses.replace(curve(100, Batching(max_rows=64)), reason="not_invariant")
    assert "off: not_invariant (manifest) 100" in shown(capsys, alone)


def test_a_busy_machine_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    points = [point(100, 0.05, others_cores=1.25), point(110, 0.2)]
    busy = Curve(Batching(max_rows=1), "manifest", 0.01, 0.1, points, knee.find(points, 0.1))
    assert "warning: other processes used 1.2 cores meanwhile" in shown(capsys, busy)


def test_json_has_everything_that_was_measured() -> None:
    found = Result("iris", "1.0.0", 1, 1, 1, 2, [curve(100, Batching(max_rows=4))])
    document = json.loads(json.dumps(found.to_json()))
    assert document["recommended"] == {"batching": {"max_rows": 4, "max_wait_ms": 0}, "target_in_flight": 3.3}
    assert document["curves"][0]["knee"]["requests_per_s"] == pytest.approx(100, rel=0.001)
    assert [one["rate"] for one in document["curves"][0]["points"]] == [100, 102]
