"""`fairlead wait`: how it tells that a rollout has ended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fairlead.cli import exit_codes
from fairlead.cli.commands.wait import ended
from fairlead.contracts.revision import Cause, Phase, Rejected, Revision, State
from fairlead.contracts.route import Route, RouteSpec, Target, VersionRef, VersionSpec
from fairlead.contracts.status import Status
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


def test_the_revision_that_rejected_the_target_is_cited_and_not_the_newest() -> None:
    end = ended(a_route("1.2.0"), a_head(target=BAD, rejected=REJECTED), None)
    assert end is not None
    assert (end.code, end.detail) == (
        exit_codes.ROLLED_BACK,
        "1.2.0 in revision iris.5: errors: fails more often than 1.0.0",
    )


def test_a_target_that_cannot_start_is_not_waited_for_while_another_rollout_goes_on() -> None:
    end = ended(a_route("1.2.0"), a_head(candidate=NEW, rejected=REJECTED), None)
    assert end is not None
    assert end.code == exit_codes.ROLLED_BACK


def test_a_target_that_is_tried_again_is_waited_for() -> None:
    assert ended(a_route("1.1.0"), a_head(candidate=NEW, rejected=REJECTED), None) is None


def test_a_spec_that_the_engine_has_not_read_is_waited_for() -> None:
    assert ended(a_route("1.0.0", generation=4), a_head(), None) is None


def test_a_spec_that_the_engine_has_read_and_that_changed_nothing_is_not_waited_for() -> None:
    status = Status(route="iris", observed_generation=4, target=OLD, seq=9)
    end = ended(a_route("1.0.0", generation=4), a_head(), status)
    assert end is not None
    assert end.code == exit_codes.OK
