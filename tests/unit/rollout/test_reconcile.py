"""The engine over a real store: whole rollouts, step by step."""

from __future__ import annotations

import json

import pytest

from fairlead.contracts.action import ActionType, Outcome
from fairlead.contracts.revision import Cause, hash_of
from fairlead.contracts.route import MirrorSpec
from fairlead.rollout.act import REVISIONS_KEPT
from unit.rollout.crashing_store import Killed
from unit.rollout.simulated_platform import Platform, at_step


def causes(platform: Platform) -> list[str]:
    return [str(revision.cause) for revision in platform.store.revisions("iris")]


def test_a_first_version_serves_as_soon_as_it_is_ready() -> None:
    platform = Platform()
    platform.deploy()
    assert platform.tick() == []
    assert [row.ref.version for row in platform.store.wanted()] == ["1.0.0", "1.1.0", "1.2.0"]
    platform.supervise()
    (created,) = platform.tick()
    assert (created.cause, created.table.stable.version) == (Cause.CREATED, "1.0.0")


def test_a_route_that_is_deleted_while_a_tick_runs_gets_no_first_revision() -> None:
    """It would have no owner in a cluster, and stay when everything else of the model is gone."""
    platform = Platform()
    platform.deploy()
    platform.tick()
    platform.supervise()
    read_before = platform.route
    platform.store.delete_route("iris")
    assert platform.engine.reconcile(read_before) == []
    assert platform.store.revisions("iris") == []


def test_a_release_goes_step_by_step_to_the_end(platform: Platform) -> None:
    platform.release("1.1.0")
    weights = []
    for _ in range(40):
        weights.append(platform.head.table.weight)
        if platform.store.status("iris") and "approval" in str((platform.store.status("iris") or {})["waiting"]):
            platform.ask(ActionType.APPROVE)
        platform.settle(1, 5)
    assert list(dict.fromkeys(weights)) == [0, 500, 2500, 5000]
    assert platform.head.table.stable.version == "1.1.0"
    assert causes(platform) == ["created", "released", "step", "step", "action", "step", "promoted"]
    assert platform.store.verify("iris") is None


def test_a_step_lasts_as_long_as_it_should(platform: Platform) -> None:
    at_step(platform, 500)
    entered = platform.now
    while platform.head.table.weight == 500:
        platform.settle(1, 1)
    assert (platform.now - entered).total_seconds() == 20


def test_golden_rows_are_sent_once_through_the_published_table(platform: Platform) -> None:
    platform.release("1.1.0")
    platform.tick()
    platform.tick(1)
    assert platform.asked == []  # the gateways do not serve the table yet
    platform.acknowledge()
    platform.tick(1)
    assert platform.asked == [platform.ref("1.1.0")]
    platform.settle(3)
    assert len(platform.asked) == 1


def test_a_rollback_is_applied_in_one_tick_with_no_gateway_in_reach(platform: Platform) -> None:
    at_step(platform, 2500)
    platform.unreachable = {"e1", "e2"}
    action = platform.ask(ActionType.ROLLBACK, attempt=platform.head.state.attempt)
    (back,) = platform.tick()
    assert (back.action, back.table.weight, back.table.candidate) == (action.name, 0, None)
    assert [one.outcome for one in platform.store.actions() if one.name == action.name] == [Outcome.ACCEPTED]


def test_a_rejected_version_is_not_tried_again_until_a_user_retries_it(platform: Platform) -> None:
    platform.bad.add(platform.ref("1.1.0"))
    platform.release("1.1.0")
    platform.settle(5)
    assert platform.head.cause is Cause.ROLLED_BACK
    platform.bad.clear()
    before = platform.head
    platform.settle(5, 600)
    assert platform.head == before
    platform.ask(ActionType.RETRY)
    platform.settle(4)
    assert (platform.head.state.attempt, platform.head.table.weight) == (before.state.attempt + 1, 500)


def test_several_actions_are_several_revisions(platform: Platform) -> None:
    at_step(platform, 500)
    platform.ask(ActionType.PAUSE)
    platform.wait(1)
    platform.ask(ActionType.RESUME)
    paused, resumed = platform.tick()
    assert (paused.state.paused, resumed.state.paused) == (True, False)


def test_a_long_history_is_pruned_and_still_verifies(platform: Platform) -> None:
    at_step(platform, 500)
    for kind in (ActionType.PAUSE, ActionType.RESUME) * (REVISIONS_KEPT // 2):
        platform.ask(kind)
        platform.tick(1)
    kept = platform.store.revisions("iris")
    assert platform.head.seq > REVISIONS_KEPT
    assert [one.seq for one in kept if one.cause is not Cause.CREATED] == list(
        range(platform.head.seq - REVISIONS_KEPT + 1, platform.head.seq + 1)
    )
    assert platform.store.verify("iris") is None


class TestQuiet:
    def test_a_tick_that_changes_nothing_writes_nothing(self, platform: Platform) -> None:
        at_step(platform, 500)
        platform.tick()
        token = platform.store.change_token()
        for _ in range(3):
            platform.tick(0.25)
        assert platform.store.change_token() == token

    @pytest.mark.parametrize("away", ["1.1.0", "1.0.0"])
    def test_a_rollout_that_waits_writes_nothing_either(self, platform: Platform, away: str) -> None:
        at_step(platform, 500)
        platform.turn(platform.ref(away), ready=False)
        platform.tick(0.1)
        token = platform.store.change_token()
        platform.tick(0.1)
        assert platform.store.change_token() == token


def test_every_revision_is_one_line_of_the_archive(platform: Platform) -> None:
    at_step(platform, 500)
    lines = [json.loads(line) for line in platform.log]
    assert [line["seq"] for line in lines] == [revision.seq for revision in platform.store.revisions("iris")]
    assert all(hash_of(line) == line["hash"] for line in lines)


def test_the_younger_route_of_a_model_reports_the_conflict(platform: Platform) -> None:
    platform.wait(1)
    platform.store.put_route("iris-two", platform.route.spec, now=platform.now, actor="eve")
    platform.tick()
    assert platform.store.head("iris-two") is None
    assert "'iris' is older" in str((platform.store.status("iris-two") or {})["waiting"])


def test_a_route_that_changes_its_model_cannot_take_one_that_a_younger_route_serves(platform: Platform) -> None:
    platform.wait(1)
    spec = platform.route.spec.model_copy(update={"model": "wine"})
    platform.store.put_route("wine", spec, now=platform.now, actor="eve")
    platform.settle(3)
    platform.change(model="wine")
    platform.settle(3)
    served = {name: platform.store.head(name) for name in ("iris", "wine")}
    assert {name: head.table.model for name, head in served.items() if head} == {"iris": "iris", "wine": "wine"}
    waiting = str((platform.store.status("iris") or {})["waiting"])
    assert waiting == "route 'wine' already serves 'wine'; delete one of the two"


def test_a_broken_ledger_of_one_route_stops_no_other(platform: Platform) -> None:
    spec = platform.route.spec.model_copy(update={"model": "wine"})
    platform.store.put_route("wine", spec, now=platform.now, actor="ada")
    with platform.store._database.writing() as connection:
        connection.execute("DROP TRIGGER revisions_are_never_changed")
        connection.execute("UPDATE revisions SET document = '{}' WHERE route = 'iris'")
    before = {row.id for row in platform.store.wanted()}
    platform.tick()
    platform.supervise()
    platform.tick()
    assert platform.store.head("wine") is not None
    assert before < {row.id for row in platform.store.wanted()}
    assert "cannot be read" in str((platform.store.status("iris") or {})["waiting"])


def test_another_engine_that_was_faster_is_no_failure(platform: Platform) -> None:
    other = platform.started()
    platform.release("1.1.0")
    platform.engine.tick()
    other.tick()
    platform.acknowledge()
    platform.engine.tick()
    other.tick()
    assert causes(platform) == ["created", "released", "step"]


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("write", range(6))
def test_a_crash_at_any_write_of_a_rollback_is_recovered(platform: Platform, write: int, done: bool) -> None:
    at_step(platform, 2500)
    action = platform.ask(ActionType.ROLLBACK)
    platform.store.arm(write, done=done)
    try:
        platform.tick(1)
    except Killed:
        platform.engine = platform.started()
    platform.store.disarm()
    platform.tick(1)
    assert [revision.action for revision in platform.store.revisions("iris")].count(action.name) == 1
    assert [one.outcome for one in platform.store.actions() if one.name == action.name] == [Outcome.ACCEPTED]
    assert (platform.head.table.weight, platform.store.verify("iris")) == (0, None)


def test_a_mirror_is_in_the_table_when_its_version_is_ready(platform: Platform) -> None:
    platform.change(mirrors=(MirrorSpec(version="1.2.0", share=100),))
    (spec,) = platform.tick()
    assert (spec.cause, [one.version.version for one in spec.table.mirrors]) == (Cause.SPEC, ["1.2.0"])
