"""The report of a run: what the scenario did and what the engine did, in order."""

from __future__ import annotations

from typing import Any

from fairlead.contracts.scenario import Scenario
from fairlead.rehearsal.report import ReportLine, report_lines
from fairlead.rehearsal.virtual.simulation import play


def report(**changes: Any) -> list[ReportLine]:
    strategy = {"steps": [{"weight": 1000, "minDuration": "20s"}]}
    whole = {"name": "x", "duration": "2m", "load": 100, "strategy": strategy, "expect": [{"never": "held"}]}
    return report_lines(play(Scenario.model_validate({**whole, **changes}), seed=1))


def find(lines: list[ReportLine], what: str) -> ReportLine:
    return next(line for line in lines if what in line.what)


def test_lines_are_in_order_and_have_the_weight_from_then_on() -> None:
    lines = report()
    assert [line.at_s for line in lines] == sorted(line.at_s for line in lines)
    assert [line.weight for line in lines if line.what.startswith(("step", "candidate passed"))] == [1000, 10_000]


def test_a_rollback_names_its_gate_and_evidence() -> None:
    line = find(report(candidate={"errors": 0.5}), "rolled back")
    assert line.weight == 0
    assert line.why.startswith("errors: candidate fails more often than stable")


def test_events_are_reported_at_their_begin_and_end() -> None:
    lines = report(
        load=[{"rate": 100}, {"from": "90s", "rate": 10}],
        events=[
            {"at": "10s", "until": "60s", "fault": "metrics-outage"},
            {"at": "70s", "until": "80s", "both": {"errors": 0.3, "latency": {"median": "50ms"}}},
            {"at": "100s", "action": "pause"},
        ],
    )
    assert (find(lines, "metrics outage").at_s, find(lines, "ended: metrics outage").at_s) == (10, 60)
    assert find(lines, "both").what == "both: errors 30 %, latency median 50ms"
    assert find(lines, "load").what == "load: 10 requests/s"
    assert find(lines, "action").what == "action: pause"


def test_a_hold_is_reported_with_its_duration_and_most_frequent_reason() -> None:
    line = find(report(events=[{"at": "12s", "until": "60s", "fault": "metrics-outage"}]), "held for")
    assert "no gateway told its counters" in line.why


def test_the_short_wait_of_a_step_for_its_first_requests_is_not_a_hold() -> None:
    assert [line for line in report() if "held" in line.what] == []
