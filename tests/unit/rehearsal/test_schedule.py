"""What a scenario says of a moment."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.contracts.scenario import Scenario
from fairlead.rehearsal.schedule import Arm, behaving_at, has_fault, most_instances, rate_at


def scenario(**changes: Any) -> Scenario:
    whole = {"name": "x", "duration": "5m", "load": 50, "expect": [{"never": "promoted"}]}
    return Scenario.model_validate({**whole, **changes})


def test_the_candidate_has_no_instance_before_its_startup_is_over() -> None:
    wish = scenario(candidate={"instances": 3, "startup": "20s"})
    assert [behaving_at(wish, at).candidate.instances for at in (-1, 0, 19.9, 20, 299)] == [0, 0, 0, 3, 3]
    assert behaving_at(wish, 0).stable.instances == 1


def test_of_two_changes_the_later_one_holds_and_what_is_over_is_as_before() -> None:
    events = [
        {"at": "10s", "until": "60s", "both": {"errors": 0.1, "rejections": 0.2}},
        {"at": "30s", "until": "40s", "candidate": {"errors": 0.5}},
    ]
    wish = scenario(events=events, candidate={"startup": "0s"})
    assert [behaving_at(wish, at).candidate.errors for at in (5, 10, 30, 40, 60)] == [0, 0.1, 0.5, 0.1, 0]
    assert (behaving_at(wish, 35).candidate.rejections, behaving_at(wish, 35).stable.errors) == (0.2, 0.1)


def test_before_the_release_the_load_is_that_of_the_beginning() -> None:
    wish = scenario(load=[{"rate": 5}, {"from": "1m", "rate": 50}])
    assert [rate_at(wish, at) for at in (-5, 0, 59.9, 60, 300)] == [5, 5, 5, 50, 50]


def test_a_fault_lasts_from_its_moment_until_another() -> None:
    wish = scenario(events=[{"at": "10s", "until": "20s", "fault": "metrics-outage"}])
    assert [has_fault(wish, "metrics-outage", at) for at in (9, 10, 19.9, 20)] == [False, True, True, False]
    assert not has_fault(wish, "gateway-silent", 15)


@pytest.mark.parametrize(
    ("changes", "stable", "candidate"),
    [
        ({}, 1, 1),
        ({"candidate": {"instances": 0}}, 1, 1),
        ({"events": [{"at": "5s", "both": {"instances": 4}}]}, 4, 4),
        ({"candidate": {"instances": 3}, "events": [{"at": "5s", "candidate": {"errors": 1}}]}, 1, 3),
    ],
)
def test_there_are_as_many_instances_as_anything_that_is_said_needs(
    changes: dict[str, Any], stable: int, candidate: int
) -> None:
    wish = scenario(**changes)
    assert (most_instances(wish, Arm.STABLE), most_instances(wish, Arm.CANDIDATE)) == (stable, candidate)
