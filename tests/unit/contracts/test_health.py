"""The words for how a route serves are decided by its conditions alone, with the one command that helps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fairlead.contracts.health import Mark, health_of
from fairlead.contracts.route import VersionSpec
from fairlead.contracts.status import Condition, Reason, Status

OLD, STABLE, CANDIDATE = (VersionSpec().ref(name) for name in ("0.9.0", "1.0.0", "1.1.0"))
NUMBER = VersionSpec().ref("3")
NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
READY = Condition(type="Ready", status=True, reason=Reason.SERVING, since=NOW)
DOWN = Condition(type="Ready", status=False, reason=Reason.NOTHING_READY, message="1.0.0 has no ready instance")


def a_status(*conditions: Condition, **more: Any) -> Status:
    document = {"route": "iris", "observed_generation": 1, "target": STABLE, "stable": STABLE} | more
    return Status(**document, conditions=conditions)


def test_without_a_status_the_health_is_unknown() -> None:
    assert health_of(None).mark is Mark.UNKNOWN


def test_a_status_without_the_condition_ready_is_unknown_with_its_reason() -> None:
    health = health_of(a_status(waiting="the ledger cannot be read"))
    assert (health.mark, health.reason, health.is_down) == (Mark.UNKNOWN, "the ledger cannot be read", False)


def test_a_cold_model_serves_and_needs_no_command() -> None:
    cold = Condition(type="Ready", status=True, reason=Reason.COLD, message="1.0.0 is cold", since=NOW)
    health = health_of(a_status(cold))
    assert (health.mark, health.serves, health.is_down, health.command) == (Mark.COLD, True, False, "")
    assert (health.reason, health.since) == ("1.0.0 is cold", NOW)


def test_a_route_that_never_served_is_starting_and_not_down() -> None:
    first = Condition(type="Ready", status=False, reason=Reason.NOTHING_RELEASED, message="1.0.0 has no ready instance")
    health = health_of(a_status(first, stable=None))
    assert (health.mark, health.serves, health.is_down) == (Mark.STARTING, False, False)
    assert health.command == "fairlead logs iris --version 1.0.0"


@pytest.mark.parametrize(
    ("more", "command"),
    [
        ({"candidate": CANDIDATE, "ready": {"stable": 0, "candidate": 1}}, "fairlead promote iris"),
        ({"candidate": CANDIDATE, "ready": {"stable": 0, "candidate": 0}}, "fairlead logs iris --version 1.0.0"),
        ({"previous": OLD, "ready": {"stable": 0, "previous": 2}}, "fairlead rollback iris --to 0.9.0"),
        ({"previous": NUMBER, "ready": {"stable": 0, "previous": 2}}, "fairlead rollback iris --to version:3"),
        ({"previous": OLD, "ready": {"stable": 0, "previous": 0}}, "fairlead logs iris --version 1.0.0"),
        ({"previous": STABLE, "ready": {"stable": 0, "previous": 0}}, "fairlead logs iris --version 1.0.0"),
        ({"returnable": ("1.1.0",)}, "fairlead rollback iris --to 1.1.0"),
        ({}, "fairlead logs iris --version 1.0.0"),
    ],
    ids=[
        "candidate answers",
        "nothing ready",
        "previous ready",
        "previous ready, a number",
        "previous dead",
        "previous is stable",
        "earlier ready",
        "only stable",
    ],
)
def test_a_route_that_is_down_names_the_command_that_brings_an_answering_version(
    more: dict[str, Any], command: str
) -> None:
    health = health_of(a_status(DOWN, **more))
    assert (health.mark, health.reason, health.command) == (Mark.DOWN, "1.0.0 has no ready instance", command)


def test_no_command_of_a_model_helps_when_no_gateway_answers() -> None:
    away = Condition(type="Ready", status=False, reason=Reason.NO_GATEWAY, message="no gateway answers")
    assert health_of(a_status(away, candidate=CANDIDATE, ready={"candidate": 1})).command == ""


@pytest.mark.parametrize(
    ("conditions", "more", "command"),
    [
        ((), {"paused": True}, "fairlead resume iris"),
        ((Condition(type="Progressing", status=False, reason=Reason.AWAITING_APPROVAL),), {}, "fairlead approve iris"),
        (
            (Condition(type="TargetAccepted", status=False, reason=Reason.REJECTED),),
            {},
            "fairlead history iris --evidence",
        ),
        (
            (Condition(type="TargetAccepted", status=False, reason=Reason.REJECTED),),
            {"paused": True},
            "fairlead history iris --evidence",
        ),
        ((Condition(type="Progressing", status=True, reason=Reason.ROLLING_OUT),), {}, ""),
    ],
    ids=["paused", "approval", "rejected", "rejected and paused", "nothing to do"],
)
def test_a_route_that_serves_names_the_command_it_waits_for(
    conditions: tuple[Condition, ...], more: dict[str, Any], command: str
) -> None:
    health = health_of(a_status(READY, *conditions, **more))
    assert (health.mark, health.command) == (Mark.SERVING, command)


def test_a_degraded_route_serves_and_names_the_log_of_the_version_that_lacks_instances() -> None:
    degraded = Condition(
        type="Degraded", status=True, reason=Reason.CANDIDATE_DOWN, message="1.1.0 has none", since=NOW
    )
    health = health_of(a_status(READY, degraded, candidate=CANDIDATE))
    assert (health.mark, health.serves, health.is_down) == (Mark.DEGRADED, True, False)
    assert (health.reason, health.since, health.command) == (
        "1.1.0 has none",
        NOW,
        "fairlead logs iris --version 1.1.0",
    )


def test_a_route_serves_fully_since_the_later_of_both_conditions() -> None:
    later = NOW + timedelta(minutes=3)
    fine = Condition(type="Degraded", status=False, reason=Reason.ENOUGH_READY, since=later)
    assert health_of(a_status(READY, fine)).since == later
