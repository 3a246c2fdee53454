"""Scenario files: which values are accepted, and which are refused with the field's path."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.parsing import parse
from fairlead.contracts.scenario import Event, Expectation, Outcome, Scenario
from fairlead.errors import Invalid
from fairlead.rehearsal.scenario_files import built_in_scenarios, find


def scenario(**changes: Any) -> Scenario:
    whole = {"name": "x", "duration": "10m", "load": 50, "expect": [{"outcome": "promoted"}], **changes}
    return parse(Scenario, whole, "x.yaml")


def test_a_number_as_load_is_a_rate_from_the_beginning() -> None:
    assert scenario(load=50) == scenario(load=[{"from": "0s", "rate": 50}])


def test_a_scenario_survives_a_round_trip_through_json() -> None:
    for one in built_in_scenarios():
        assert Scenario.model_validate(one.to_json()) == one


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"traffic": 50}, "x.yaml: traffic: unknown field"),
        ({"load": [{"from": "5s", "rate": 1}]}, "load must begin at 0s"),
        ({"load": [{"rate": 1}, {"from": "0s", "rate": 2}]}, "its times must be in ascending order"),
        ({"load": [{"rate": -1}]}, "load.0.rate: Input should be greater than or equal to 0"),
        ({"load": True}, "load: must be a list"),
        ({"candidate": {"errors": 5}}, "candidate.errors: Input should be less than or equal to 1"),
        ({"candidate": {"latency": {"p50": "5ms"}}}, "candidate.latency.p50: unknown field; known are median, sigma"),
        ({"stable": {"instances": 0}}, "stable must have an instance at the release"),
        ({"strategy": {"steps": [{"weight": 0}]}}, "strategy.steps.0.weight: Input should be greater"),
        ({"strategy": {"gates": [{"name": "errors", "boundaries": ["8ms"]}]}}, "strategy.gates.0.boundaries: "),
        ({"strategy": {"shadow": {}}}, "shadow: answers in a rehearsal have no content to compare"),
        ({"strategy": {"gates": [{"name": "cost"}]}}, "gates: versions in a rehearsal count nothing of themselves"),
        ({"strategy": {"gates": [{"name": "classes"}]}}, "gates: answers in a rehearsal have no classes"),
        ({"events": [{"at": "1m", "fault": "fire"}]}, "events.0.fault: Input should be 'metrics-outage'"),
        ({"events": [{"at": "1m"}]}, "events.0: give exactly one of fault, candidate, stable, both, action; "),
        ({"events": [{"at": "1m", "fault": "metrics-outage", "action": "retry"}]}, "given: fault, action"),
        ({"events": [{"at": "1m", "until": "2m", "action": "retry"}]}, "retry has no duration: leave out until"),
        ({"events": [{"at": "2m", "until": "1m", "fault": "metrics-outage"}]}, "until must be after at"),
        ({"events": [{"at": "11m", "action": "retry"}]}, "events.0 is after the end: the duration is 10m"),
        ({"expect": []}, "expect: Tuple should have at least 1 item"),
        ({"expect": [{"at": "1m"}]}, "expect.0: give exactly one of weight"),
        ({"expect": [{"weight": 0, "outcome": "held"}]}, "expect.0: give exactly one of weight"),
        ({"expect": [{"at": "1m", "by": "2m", "weight": 5}]}, "expect.0: give only one of at, by, from"),
        ({"expect": [{"until": "2m", "weight": 5}]}, "expect.0: until needs an earlier from"),
        ({"expect": [{"by": "2m", "weight": 0}]}, "true at once: use from instead of by"),
        ({"expect": [{"by": "2m", "weightAtMost": 500}]}, "true at once: use from instead of by"),
        ({"expect": [{"at": "2m", "never": "held"}]}, "never needs an interval"),
        ({"expect": [{"outcome": "promoted", "gate": "errors"}]}, "gate needs outcome held or rolled-back"),
        ({"expect": [{"weight": 0, "reason": "x"}]}, "gate and reason need an outcome"),
        ({"expect": [{"outcome": "fine"}]}, "expect.0.outcome: Input should be 'advancing'"),
        ({"expect": [{"at": "11m", "weight": 0}]}, "expect.0 is after the end"),
    ],
)
def test_an_invalid_scenario_is_refused_with_the_field(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid) as refused:
        scenario(**changes)
    assert message in refused.value.message


@pytest.mark.parametrize(
    ("expectation", "read"),
    [
        ({"at": "1m", "weight": 500}, "at 1m: weight 5 %"),
        ({"by": "90s", "outcome": "rolled-back", "gate": "errors"}, "by 1m30s: rolled-back by errors"),
        ({"from": "0s", "weightAtMost": 1000}, "from 0s on: weight at most 10 %"),
        ({"from": "1m", "until": "2m", "weightAtLeast": 1000}, "from 1m until 2m: weight at least 10 %"),
        ({"never": "rolled-back"}, "always: not rolled-back"),
        ({"outcome": "held", "reason": "no gateway"}, 'at the end: held, saying "no gateway"'),
    ],
)
def test_an_expectation_reads_as_a_sentence(expectation: dict[str, Any], read: str) -> None:
    assert str(Expectation.model_validate(expectation)) == read


@given(at=st.integers(0, 100), length=st.none() | st.integers(1, 100), moment=st.integers(0, 300))
def test_an_event_lasts_from_its_begin_until_its_end(at: int, length: int | None, moment: int) -> None:
    event = Event(at=at, until=None if length is None else at + length, fault="metrics-outage")
    assert event.lasts_at(moment) == (at <= moment and (length is None or moment < at + length))


def test_every_outcome_can_be_expected() -> None:
    for outcome in Outcome:
        assert scenario(expect=[{"outcome": outcome.value}]).expect[0].outcome is outcome


def test_built_in_scenarios_have_the_name_of_their_file_and_a_description() -> None:
    for one in built_in_scenarios():
        assert find(one.name) == one
        assert one.description.endswith(".")
