"""The engine over a real store: whole rollouts, step by step."""

from __future__ import annotations

import json

import pytest

from fairlead.contracts.action import ActionType, Outcome
from fairlead.contracts.revision import Cause, Phase, hash_of
from fairlead.contracts.route import MirrorSpec
from fairlead.rollout.act import KEPT
from unit.rollout.stage import START, Killed, Stage, at_step


def causes(stage: Stage) -> list[str]:
    return [str(revision.cause) for revision in stage.store.revisions("iris")]


def test_a_first_version_serves_as_soon_as_it_is_ready() -> None:
    stage = Stage()
    stage.deploy()
    assert stage.tick() == []
    assert [row.ref.version for row in stage.store.wanted()] == ["1.0.0", "1.1.0", "1.2.0"]
    stage.supervise()
    (created,) = stage.tick()
    assert (created.cause, created.table.stable.version) == (Cause.CREATED, "1.0.0")


def test_a_release_goes_step_by_step_to_the_end(stage: Stage) -> None:
    stage.release("1.1.0")
    weights = []
    for _ in range(40):
        weights.append(stage.head.table.weight)
        if stage.store.status("iris") and "approval" in str((stage.store.status("iris") or {})["waiting"]):
            stage.ask(ActionType.APPROVE)
        stage.settle(1, 5)
    assert list(dict.fromkeys(weights)) == [0, 500, 2500, 5000]
    assert stage.head.table.stable.version == "1.1.0"
    assert causes(stage) == ["created", "released", "step", "step", "action", "step", "promoted"]
    assert stage.store.verify("iris") is None


def test_a_step_lasts_as_long_as_it_should(stage: Stage) -> None:
    at_step(stage, 500)
    entered = stage.now
    while stage.head.table.weight == 500:
        stage.settle(1, 1)
    assert (stage.now - entered).total_seconds() == 20


def test_the_golden_rows_are_asked_on_the_way_users_take_and_in_no_other_moment(stage: Stage) -> None:
    stage.release("1.1.0")
    stage.tick()
    stage.tick(1)
    assert stage.asked == []  # the gateways have not got the table yet
    stage.acknowledge()
    stage.tick(1)
    assert stage.asked == [stage.ref("1.1.0")]
    stage.settle(3)
    assert len(stage.asked) == 1


def test_a_rollback_is_applied_in_one_tick_with_no_gateway_in_reach(stage: Stage) -> None:
    at_step(stage, 2500)
    stage.deaf = {"e1", "e2"}
    action = stage.ask(ActionType.ROLLBACK, attempt=stage.head.state.attempt)
    (back,) = stage.tick()
    assert (back.action, back.table.weight, back.table.candidate) == (action.name, 0, None)
    assert [one.outcome for one in stage.store.actions() if one.name == action.name] == [Outcome.ACCEPTED]


def test_what_failed_is_not_tried_again_until_somebody_asks(stage: Stage) -> None:
    stage.bad.add(stage.ref("1.1.0"))
    stage.release("1.1.0")
    stage.settle(5)
    assert stage.head.cause is Cause.ROLLED_BACK
    stage.bad.clear()
    before = stage.head
    stage.settle(5, 600)
    assert stage.head == before
    stage.ask(ActionType.RETRY)
    stage.settle(4)
    assert (stage.head.state.attempt, stage.head.table.weight) == (before.state.attempt + 1, 500)


def test_several_actions_are_several_revisions(stage: Stage) -> None:
    at_step(stage, 500)
    stage.ask(ActionType.PAUSE)
    stage.wait(1)
    stage.ask(ActionType.RESUME)
    paused, resumed = stage.tick()
    assert (paused.state.paused, resumed.state.paused) == (True, False)


def test_a_long_history_is_pruned_and_still_verifies(stage: Stage) -> None:
    at_step(stage, 500)
    for kind in (ActionType.PAUSE, ActionType.RESUME) * (KEPT // 2):
        stage.ask(kind)
        stage.tick(1)
    kept = stage.store.revisions("iris")
    assert stage.head.seq > KEPT
    assert [one.seq for one in kept if one.cause is not Cause.CREATED] == list(
        range(stage.head.seq - KEPT + 1, stage.head.seq + 1)
    )
    assert stage.store.verify("iris") is None


class TestEvidence:
    def test_what_was_counted_under_a_table_is_in_the_next_revision(self, stage: Stage) -> None:
        at_step(stage, 500)
        stage.settle(1, 5)  # the window in which the candidate began is a gap
        for _ in range(3):
            stage.serve(stage.ref("1.1.0"), ok=9, bad=1)
            stage.serve(stage.ref("1.0.0"), ok=81, bad=9)
            stage.settle(1, 5)
        step = stage.head
        while step.table.weight == 500:
            stage.settle(1, 1)
            step = stage.head
        counted = [window for window in step.windows if window.gap is None]
        assert sum(window.candidate.n for window in counted) == 60  # two gateways, ten each, three times
        assert sum(window.candidate.bad for window in counted) == 6
        assert sum(window.stable.n for window in counted) == 540
        assert stage.store.windows("iris") == [] or stage.store.windows("iris")[0].start >= step.created_at

    def test_windows_follow_the_wall_clock(self, stage: Stage) -> None:
        at_step(stage, 500)
        stage.wait(5 - (stage.now - START).total_seconds() % 5)
        stage.tick()
        for _ in range(10):
            stage.tick(1)
        assert [(one.end - START).total_seconds() % 5 for one in stage.store.windows("iris")[-2:]] == [0, 0]

    def test_at_rest_nothing_is_counted(self, stage: Stage) -> None:
        stage.settle(20, 5)
        assert stage.store.windows("iris") == []

    def test_a_restart_of_the_engine_is_a_gap_and_no_evidence(self, stage: Stage) -> None:
        at_step(stage, 500)
        stage.ask(ActionType.PAUSE)
        stage.settle(3, 5)
        stage.serve(stage.ref("1.1.0"), ok=1000)
        stage.wait(60)
        stage.engine = stage.started()
        stage.tick()
        gap = stage.store.windows("iris")[-1]
        assert (gap.gap, gap.candidate.n, gap.ready) == ("the control plane was not watching", 0, None)
        stage.serve(stage.ref("1.1.0"), ok=10)
        stage.tick(5)
        assert (stage.store.windows("iris")[-1].gap, stage.store.windows("iris")[-1].candidate.n) == (None, 20)

    def test_a_metrics_outage_is_a_gap_and_says_so(self, stage: Stage) -> None:
        at_step(stage, 500)
        stage.settle(2, 5)
        stage.deaf = {"e1", "e2"}
        stage.tick(5)
        assert stage.store.windows("iris")[-1].gap == "no gateway told its counters"
        conditions = {one["type"]: one for one in (stage.store.status("iris") or {})["conditions"]}  # type: ignore[attr-defined]
        assert conditions["Counted"]["status"] is False
        assert conditions["Ready"]["status"] is True

    def test_a_changed_table_in_the_window_is_a_gap(self, stage: Stage) -> None:
        stage.release("1.1.0")
        stage.settle(4, 2)
        gaps = {one.gap for one in (*stage.head.windows, *stage.store.windows("iris")) if one.gap}
        assert gaps == {"the versions of the table changed inside the window"}

    def test_a_candidate_that_stays_away_is_rolled_back(self, stage: Stage) -> None:
        at_step(stage, 500)
        stage.turn(stage.ref("1.1.0"), ready=False)
        for _ in range(12):
            stage.tick(5)
            assert stage.head.state.phase is Phase.CANARY
        stage.tick(5)
        stage.tick(5)
        assert stage.head.cause is Cause.ROLLED_BACK


class TestWanted:
    def test_what_left_the_spec_runs_until_nobody_sends_it_anything(self, stage: Stage) -> None:
        at_step(stage, 500)
        gone = stage.ref("1.1.0")
        stage.deploy(("1.0.0", "1.2.0"))
        stage.tick()
        assert stage.head.table.candidate is None
        assert gone in {row.ref for row in stage.store.wanted()}
        stage.acknowledge("e1")
        stage.tick()
        assert gone in {row.ref for row in stage.store.wanted()}
        stage.acknowledge()
        stage.tick()
        assert gone not in {row.ref for row in stage.store.wanted()}

    def test_the_one_before_runs_through_its_window_though_it_left_the_spec(self, stage: Stage) -> None:
        at_step(stage, 5000)
        stage.settle(6, 5)
        assert stage.head.cause is Cause.PROMOTED
        before = stage.head.state.previous
        stage.deploy(("1.1.0",), target="1.1.0")
        stage.settle(3)
        assert {row.ref.version for row in stage.store.wanted()} == {"1.0.0", "1.1.0"}
        stage.settle(2, 3600)
        assert before not in {row.ref for row in stage.store.wanted()}

    def test_a_deleted_routes_instances_go_when_no_gateway_serves_it(self, stage: Stage) -> None:
        stage.store.delete_route("iris")
        stage.tick()
        assert stage.store.wanted() != []
        stage.programmed = dict.fromkeys(stage.programmed, 0)
        stage.tick()
        assert stage.store.wanted() == []


class TestQuiet:
    def test_a_tick_that_changes_nothing_writes_nothing(self, stage: Stage) -> None:
        at_step(stage, 500)
        stage.tick()
        token = stage.store.change_token()
        for _ in range(3):
            stage.tick(0.25)
        assert stage.store.change_token() == token

    @pytest.mark.parametrize("away", ["1.1.0", "1.0.0"])
    def test_a_rollout_that_waits_writes_nothing_either(self, stage: Stage, away: str) -> None:
        at_step(stage, 500)
        stage.turn(stage.ref(away), ready=False)
        stage.tick(0.1)
        token = stage.store.change_token()
        stage.tick(0.1)
        assert stage.store.change_token() == token


def test_every_revision_is_one_line_of_the_archive(stage: Stage) -> None:
    at_step(stage, 500)
    lines = [json.loads(line) for line in stage.log]
    assert [line["seq"] for line in lines] == [revision.seq for revision in stage.store.revisions("iris")]
    assert all(hash_of(line) == line["hash"] for line in lines)


def test_the_younger_route_of_a_model_is_told_so(stage: Stage) -> None:
    stage.wait(1)
    stage.store.put_route("iris-two", stage.route.spec, now=stage.now, actor="eve")
    stage.tick()
    assert stage.store.head("iris-two") is None
    assert "'iris' is older" in str((stage.store.status("iris-two") or {})["waiting"])


def test_a_broken_ledger_of_one_route_stops_no_other(stage: Stage) -> None:
    spec = stage.route.spec.model_copy(update={"model": "wine"})
    stage.store.put_route("wine", spec, now=stage.now, actor="ada")
    with stage.store._database.writing() as connection:
        connection.execute("DROP TRIGGER revisions_are_never_changed")
        connection.execute("UPDATE revisions SET document = '{}' WHERE route = 'iris'")
    before = {row.id for row in stage.store.wanted()}
    stage.tick()
    stage.supervise()
    stage.tick()
    assert stage.store.head("wine") is not None
    assert before < {row.id for row in stage.store.wanted()}
    assert "cannot be read" in str((stage.store.status("iris") or {})["waiting"])


def test_another_engine_that_was_faster_is_no_failure(stage: Stage) -> None:
    other = stage.started()
    stage.release("1.1.0")
    stage.engine.tick()
    other.tick()
    stage.acknowledge()
    stage.engine.tick()
    other.tick()
    assert causes(stage) == ["created", "released", "step"]


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("write", range(6))
def test_a_death_at_any_write_of_a_rollback_is_made_good(stage: Stage, write: int, done: bool) -> None:
    at_step(stage, 2500)
    action = stage.ask(ActionType.ROLLBACK)
    stage.store.arm(write, done=done)
    try:
        stage.tick(1)
    except Killed:
        stage.engine = stage.started()
    stage.store.disarm()
    stage.tick(1)
    assert [revision.action for revision in stage.store.revisions("iris")].count(action.name) == 1
    assert [one.outcome for one in stage.store.actions() if one.name == action.name] == [Outcome.ACCEPTED]
    assert (stage.head.table.weight, stage.store.verify("iris")) == (0, None)


def test_a_mirror_is_in_the_table_when_its_version_is_ready(stage: Stage) -> None:
    stage.change(mirrors=(MirrorSpec(version="1.2.0", share=100),))
    (spec,) = stage.tick()
    assert (spec.cause, [one.version.version for one in spec.table.mirrors]) == (Cause.SPEC, ["1.2.0"])


class TestEvidenceMovesTraffic:
    """Whole rollouts by evidence, over a real store: what the gates were told is what the world did."""

    def serve(self, stage: Stage, *, bad: int) -> None:
        """Five seconds of traffic; two gateways each count all of it."""
        stage.serve(stage.ref("1.1.0"), ok=10 - bad, bad=bad)
        stage.serve(stage.ref("1.0.0"), ok=90)
        stage.settle(1, 5)

    def test_a_bad_candidate_loses_its_weight_and_the_ledger_says_why(self, stage: Stage) -> None:
        at_step(stage, 500)
        windows = 0
        while stage.head.state.phase is Phase.CANARY:
            self.serve(stage, bad=5)
            windows += 1
        head = stage.head
        assert windows <= 3
        assert (head.cause, head.table.candidate) == (Cause.ROLLED_BACK, None)
        errors = next(one for one in head.evidence if one.gate == "errors")
        assert errors.numbers["log_harm"] >= errors.numbers["harm_at"]
        newest = head.windows[-1].evidence[0]
        assert newest.log_harm == pytest.approx(errors.numbers["log_harm"], abs=1e-3)
        assert newest.state, "the last window of a revision carries the state"

    def test_a_restart_of_the_engine_forgets_no_evidence(self, stage: Stage) -> None:
        at_step(stage, 500)
        stage.ask(ActionType.PAUSE)
        stage.settle(2, 5)
        for _ in range(2):
            self.serve(stage, bad=1)
        before = stage.store.windows("iris")[-1].evidence[0].log_harm
        assert before > 0
        stage.wait(3600)
        stage.engine = stage.started()
        stage.settle(2, 5)
        assert stage.store.windows("iris")[-1].evidence[0].log_harm == before
        self.serve(stage, bad=1)
        assert stage.store.windows("iris")[-1].evidence[0].log_harm > before

    def test_evidence_goes_on_over_a_step_and_begins_anew_with_an_attempt(self, stage: Stage) -> None:
        at_step(stage, 500)
        stage.settle(1, 5)
        self.serve(stage, bad=1)
        while stage.head.table.weight == 500:
            self.serve(stage, bad=0)
        carried = stage.head.windows[-1].evidence[0].log_harm
        assert carried != 0
        stage.settle(1, 0)
        stage.turn(stage.ref("1.1.0"), ready=True)
        stage.settle(1, 5)
        assert stage.store.windows("iris")[-1].evidence[0].log_harm == pytest.approx(carried, abs=0.5)
        stage.release("1.2.0")
        stage.settle(3, 5)
        assert stage.store.windows("iris")[-1].evidence[0].log_harm == 0

    def test_four_hundred_windows_merge_into_240_and_say_the_same(self, stage: Stage) -> None:
        at_step(stage, 500)
        stage.ask(ActionType.PAUSE)
        stage.settle(2, 5)
        for at in range(400):
            stage.serve(stage.ref("1.1.0"), ok=10 - (at == 3), bad=int(at == 3))
            stage.serve(stage.ref("1.0.0"), ok=90)
            stage.tick(5)
        kept = stage.store.windows("iris")
        assert len(kept) <= 240
        assert sum(one.candidate.n for one in kept) == 400 * 20
        assert sum(bool(one.evidence and one.evidence[0].state) for one in kept) == 1
        assert sum(len(one.to_json()["evidence"]) for one in kept) == 3 * len(kept)

    def test_two_engines_do_not_count_the_same_time_twice(self, stage: Stage) -> None:
        at_step(stage, 500)
        stage.ask(ActionType.PAUSE)
        stage.settle(2, 5)
        other = stage.started()
        other.tick()
        stage.serve(stage.ref("1.1.0"), ok=5, bad=5)
        stage.serve(stage.ref("1.0.0"), ok=90)
        stage.wait(5)
        other.tick()
        counted = stage.store.windows("iris")[-1].evidence[0].log_harm
        stage.engine.tick()
        assert stage.store.windows("iris")[-1].evidence[0].log_harm == counted
