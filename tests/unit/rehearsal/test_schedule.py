"""The state of a scenario at a given time."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.contracts.scenario import Scenario
from fairlead.rehearsal.schedule import VersionRole, behaviours_at, has_fault, max_instances, rate_at


def scenario(**changes: Any) -> Scenario:
    whole = {"name": "x", "duration": "5m", "load": 50, "expect": [{"never": "promoted"}]}
    return Scenario.model_validate({**whole, **changes})


def test_the_candidate_has_no_instance_before_its_startup_is_over() -> None:
    played = scenario(candidate={"instances": 3, "startup": "20s"})
    assert [behaviours_at(played, at).candidate.instances for at in (-1, 0, 19.9, 20, 299)] == [0, 0, 0, 3, 3]
    assert behaviours_at(played, 0).stable.instances == 1


def test_the_later_of_two_changes_applies_and_an_ended_change_is_undone() -> None:
    events = [
        {"at": "10s", "until": "60s", "both": {"errors": 0.1, "rejections": 0.2}},
        {"at": "30s", "until": "40s", "candidate": {"errors": 0.5}},
    ]
    played = scenario(events=events, candidate={"startup": "0s"})
    assert [behaviours_at(played, at).candidate.errors for at in (5, 10, 30, 40, 60)] == [0, 0.1, 0.5, 0.1, 0]
    assert (behaviours_at(played, 35).candidate.rejections, behaviours_at(played, 35).stable.errors) == (0.2, 0.1)


def test_before_the_release_the_load_is_the_first_rate() -> None:
    played = scenario(load=[{"rate": 5}, {"from": "1m", "rate": 50}])
    assert [rate_at(played, at) for at in (-5, 0, 59.9, 60, 300)] == [5, 5, 5, 50, 50]


def test_a_fault_lasts_from_at_until_until() -> None:
    played = scenario(events=[{"at": "10s", "until": "20s", "fault": "metrics-outage"}])
    assert [has_fault(played, "metrics-outage", at) for at in (9, 10, 19.9, 20)] == [False, True, True, False]
    assert not has_fault(played, "gateway-silent", 15)


@pytest.mark.parametrize(
    ("changes", "stable", "candidate"),
    [
        ({}, 1, 1),
        ({"candidate": {"instances": 0}}, 1, 1),
        ({"events": [{"at": "5s", "both": {"instances": 4}}]}, 4, 4),
        ({"candidate": {"instances": 3}, "events": [{"at": "5s", "candidate": {"errors": 1}}]}, 1, 3),
    ],
)
def test_max_instances_is_the_largest_number_at_any_time(changes: dict[str, Any], stable: int, candidate: int) -> None:
    played = scenario(**changes)
    assert (max_instances(played, VersionRole.STABLE), max_instances(played, VersionRole.CANDIDATE)) == (
        stable,
        candidate,
    )
