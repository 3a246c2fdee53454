"""A run's story: what the scenario did and what the engine did about it, in order."""

from __future__ import annotations

from typing import Any

from fairlead.contracts.scenario import Scenario
from fairlead.rehearsal.report import Line, tell
from fairlead.rehearsal.virtual.simulation import play


def story(**changes: Any) -> list[Line]:
    strategy = {"steps": [{"weight": 1000, "minDuration": "20s"}]}
    whole = {"name": "x", "duration": "2m", "load": 100, "strategy": strategy, "expect": [{"never": "held"}]}
    return tell(play(Scenario.model_validate({**whole, **changes}), seed=1))


def find(lines: list[Line], what: str) -> Line:
    return next(line for line in lines if what in line.what)


def test_it_is_told_in_order_and_every_line_has_the_weight_from_then_on() -> None:
    lines = story()
    assert [line.at_s for line in lines] == sorted(line.at_s for line in lines)
    assert [line.weight for line in lines if line.what.startswith(("step", "candidate passed"))] == [1000, 10_000]


def test_a_rollback_says_which_gate_and_with_what_evidence() -> None:
    line = find(story(candidate={"errors": 0.5}), "rolled back")
    assert line.weight == 0
    assert line.why.startswith("errors: candidate fails more often than stable")


def test_what_the_scenario_does_is_told_when_it_begins_and_when_it_is_over() -> None:
    lines = story(
        load=[{"rate": 100}, {"from": "90s", "rate": 10}],
        events=[
            {"at": "10s", "until": "60s", "fault": "metrics-outage"},
            {"at": "70s", "until": "80s", "both": {"errors": 0.3, "latency": {"median": "50ms"}}},
            {"at": "100s", "action": "pause"},
        ],
    )
    assert (find(lines, "metrics outage").at_s, find(lines, "over: metrics outage").at_s) == (10, 60)
    assert find(lines, "both").what == "both: errors 30 %, latency median 50ms"
    assert find(lines, "load").what == "load: 10 requests/s"
    assert find(lines, "a person asks").what == "a person asks: pause"


def test_a_hold_is_told_with_its_length_and_the_reason_that_stood_longest() -> None:
    line = find(story(events=[{"at": "12s", "until": "60s", "fault": "metrics-outage"}]), "held for")
    assert "no gateway told its counters" in line.why


def test_the_moment_in_which_a_step_has_no_requests_yet_is_no_hold() -> None:
    assert [line for line in story() if "held" in line.what] == []
