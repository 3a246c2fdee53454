"""`fairlead wait`: how it tells that a rollout has ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fairlead.cli import exit_codes
from fairlead.cli.commands.wait import DOWN_AFTER_S, End, ended
from fairlead.contracts.revision import Cause, Phase, Rejected, Revision, State
from fairlead.contracts.route import Route, RouteSpec, Target, VersionRef, VersionSpec
from fairlead.contracts.status import Condition, Reason, Status
from fairlead.contracts.table import Table

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
OLD, NEW, BAD = (VersionSpec(source=f"/m/{name}").ref(name) for name in ("1.0.0", "1.1.0", "1.2.0"))
REJECTED = (Rejected(ref=BAD, revision=5, reason="errors: fails more often than 1.0.0"),)


def a_route(target: str, generation: int = 3) -> Route:
    versions = {ref.version: VersionSpec(source=f"/m/{ref}") for ref in (OLD, NEW, BAD)}
    spec = RouteSpec(model="iris", versions=versions, target=Target(version=target))
    return Route(name="iris", generation=generation, created_at=NOW, spec=spec)


def a_head(candidate: VersionRef | None = None, **state: Any) -> Revision:
    phase = Phase.CANARY if candidate else Phase.STABLE
    after = State.model_validate({"phase": phase, "target": candidate or OLD, "entered_at": NOW, **state})
    table = Table(model="iris", stable=OLD, candidate=candidate, weight=500 if candidate else 0, pins=(OLD, NEW))
    return Revision(route="iris", seq=9, cause=Cause.STEP, generation=3, table=table, state=after, created_at=NOW)


def a_status(*, ready: bool = True, down_s: float = 0.0, seq: int = 9, generation: int = 3) -> Status:
    """A status whose condition Ready has been so since `down_s` seconds."""
    reason = Reason.SERVING if ready else Reason.NOTHING_READY
    since, message = NOW - timedelta(seconds=down_s), "1.0.0 has no ready instance"
    condition = Condition(type="Ready", status=ready, reason=reason, message=message, since=since)
    return Status(
        route="iris", observed_generation=generation, target=OLD, stable=OLD, seq=seq, conditions=(condition,)
    )


def test_the_revision_that_rejected_the_target_is_cited_and_not_the_newest() -> None:
    end = ended(a_route("1.2.0"), a_head(target=BAD, rejected=REJECTED), None, NOW)
    assert end is not None
    assert (end.code, end.detail) == (
        exit_codes.ROLLED_BACK,
        "1.2.0 in revision iris.5: errors: fails more often than 1.0.0",
    )


def test_a_target_that_cannot_start_is_not_waited_for_while_another_rollout_goes_on() -> None:
    end = ended(a_route("1.2.0"), a_head(candidate=NEW, rejected=REJECTED), None, NOW)
    assert end is not None
    assert end.code == exit_codes.ROLLED_BACK


def test_a_target_that_is_tried_again_is_waited_for() -> None:
    assert ended(a_route("1.1.0"), a_head(candidate=NEW, rejected=REJECTED), None, NOW) is None


def test_a_spec_that_the_engine_has_not_read_is_waited_for() -> None:
    assert ended(a_route("1.0.0", generation=4), a_head(), None, NOW) is None


def test_a_spec_that_the_engine_has_read_and_that_changed_nothing_is_not_waited_for() -> None:
    end = ended(a_route("1.0.0", generation=4), a_head(), a_status(generation=4), NOW)
    assert end is not None
    assert end.code == exit_codes.OK


def test_a_promoted_version_that_serves_is_promoted() -> None:
    end = ended(a_route("1.0.0"), a_head(promoted_at=NOW), a_status(), NOW)
    assert end == End(exit_codes.OK, "promoted", "1.0.0 serves everything, revision iris.9")


def test_a_target_that_serves_without_a_release_serves_already() -> None:
    end = ended(a_route("1.0.0"), a_head(), a_status(), NOW)
    detail = "1.0.0 serves everything, revision iris.9; no release of it is in progress"
    assert end == End(exit_codes.OK, "serves already", detail)


def test_a_promoted_version_that_went_down_a_moment_ago_may_be_restarting() -> None:
    status = a_status(ready=False, down_s=DOWN_AFTER_S - 1)
    assert ended(a_route("1.0.0"), a_head(promoted_at=NOW), status, NOW) is None


@pytest.mark.parametrize("head", [a_head(promoted_at=NOW), a_head(), a_head(candidate=NEW)])
def test_a_model_that_stays_down_ends_the_wait_whatever_its_rollout_does(head: Revision) -> None:
    end = ended(a_route(head.state.target.version), head, a_status(ready=False, down_s=DOWN_AFTER_S), NOW)
    detail = "1.0.0 has no ready instance since 2026-01-01T11:59:30Z; revision iris.9"
    assert end == End(exit_codes.DOWN, "down", detail)


def test_a_target_that_was_rejected_does_not_hide_that_the_model_is_down() -> None:
    route, head = a_route("1.2.0"), a_head(target=BAD, rejected=REJECTED)
    assert ended(route, head, a_status(ready=False, down_s=DOWN_AFTER_S - 1), NOW) is None
    end = ended(route, head, a_status(ready=False, down_s=DOWN_AFTER_S), NOW)
    detail = (
        "1.0.0 has no ready instance since 2026-01-01T11:59:30Z; revision iris.9; "
        "rolled back: 1.2.0 in revision iris.5: errors: fails more often than 1.0.0"
    )
    assert end == End(exit_codes.DOWN, "down", detail)


@pytest.mark.parametrize("reason", [Reason.AWAITING_APPROVAL, Reason.BREAKING_TYPES, Reason.PAUSED])
def test_a_rollout_that_is_held_does_not_hide_that_the_model_is_down(reason: Reason) -> None:
    route, head, held = (
        a_route("1.1.0"),
        a_head(candidate=NEW),
        Condition(type="Progressing", status=False, reason=reason),
    )
    for down_s, code in ((0.0, None), (DOWN_AFTER_S - 1, None), (DOWN_AFTER_S, exit_codes.DOWN)):
        status = a_status(ready=False, down_s=down_s)
        end = ended(route, head, status.model_copy(update={"conditions": (*status.conditions, held)}), NOW)
        assert (end.code if end is not None else None) == code
    serving = a_status()
    end = ended(route, head, serving.model_copy(update={"conditions": (*serving.conditions, held)}), NOW)
    assert end is not None
    assert end.code == exit_codes.HELD


def test_a_status_of_an_older_revision_ends_nothing() -> None:
    assert ended(a_route("1.0.0"), a_head(promoted_at=NOW), a_status(seq=8), NOW) is None
