"""The engine over a real store: whole rollouts, step by step."""

from __future__ import annotations

import json

import pytest

from fairlead.contracts.action import ActionType, Outcome
from fairlead.contracts.revision import Cause, Phase, hash_of
from fairlead.contracts.route import MirrorSpec
from fairlead.rollout.act import REVISIONS_KEPT
from unit.rollout.simulated_platform import START, Killed, Platform, at_step


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


class TestEvidence:
    def test_windows_counted_under_a_table_are_in_the_next_revision(self, platform: Platform) -> None:
        at_step(platform, 500)
        platform.settle(1, 5)  # the window in which the candidate began is a gap
        for _ in range(3):
            platform.serve(platform.ref("1.1.0"), ok=9, bad=1)
            platform.serve(platform.ref("1.0.0"), ok=81, bad=9)
            platform.settle(1, 5)
        step = platform.head
        while step.table.weight == 500:
            platform.settle(1, 1)
            step = platform.head
        counted = [window for window in step.windows if window.gap is None]
        assert sum(window.candidate.n for window in counted) == 60  # two gateways, ten each, three times
        assert sum(window.candidate.bad for window in counted) == 6
        assert sum(window.stable.n for window in counted) == 540
        assert platform.store.windows("iris") == [] or platform.store.windows("iris")[0].start >= step.created_at

    def test_windows_follow_the_wall_clock(self, platform: Platform) -> None:
        at_step(platform, 500)
        platform.wait(5 - (platform.now - START).total_seconds() % 5)
        platform.tick()
        for _ in range(10):
            platform.tick(1)
        assert [(one.end - START).total_seconds() % 5 for one in platform.store.windows("iris")[-2:]] == [0, 0]

    def test_nothing_is_counted_without_a_rollout(self, platform: Platform) -> None:
        platform.settle(20, 5)
        assert platform.store.windows("iris") == []

    def test_a_restart_of_the_engine_is_a_gap_and_no_evidence(self, platform: Platform) -> None:
        at_step(platform, 500)
        platform.ask(ActionType.PAUSE)
        platform.settle(3, 5)
        platform.serve(platform.ref("1.1.0"), ok=1000)
        platform.wait(60)
        platform.engine = platform.started()
        platform.tick()
        gap = platform.store.windows("iris")[-1]
        assert (gap.gap, gap.candidate.n, gap.ready) == ("the control plane was not watching", 0, None)
        platform.serve(platform.ref("1.1.0"), ok=10)
        platform.tick(5)
        assert (platform.store.windows("iris")[-1].gap, platform.store.windows("iris")[-1].candidate.n) == (None, 20)

    def test_a_metrics_outage_is_a_gap_and_is_reported(self, platform: Platform) -> None:
        at_step(platform, 500)
        platform.settle(2, 5)
        platform.unreachable = {"e1", "e2"}
        platform.tick(5)
        assert platform.store.windows("iris")[-1].gap == "no gateway told its counters"
        conditions = {one["type"]: one for one in (platform.store.status("iris") or {})["conditions"]}  # type: ignore[attr-defined]
        assert conditions["Counted"]["status"] is False
        assert conditions["Ready"]["status"] is True

    def test_a_changed_table_in_the_window_is_a_gap(self, platform: Platform) -> None:
        platform.release("1.1.0")
        platform.settle(4, 2)
        gaps = {one.gap for one in (*platform.head.windows, *platform.store.windows("iris")) if one.gap}
        assert gaps == {"the versions of the table changed inside the window"}

    def test_a_candidate_that_stays_away_is_rolled_back(self, platform: Platform) -> None:
        at_step(platform, 500)
        platform.turn(platform.ref("1.1.0"), ready=False)
        for _ in range(12):
            platform.tick(5)
            assert platform.head.state.phase is Phase.CANARY
        platform.tick(5)
        platform.tick(5)
        assert platform.head.cause is Cause.ROLLED_BACK


class TestWanted:
    def test_a_version_that_left_the_spec_runs_until_no_gateway_sends_it_requests(self, platform: Platform) -> None:
        at_step(platform, 500)
        gone = platform.ref("1.1.0")
        platform.deploy(("1.0.0", "1.2.0"))
        platform.tick()
        assert platform.head.table.candidate is None
        assert gone in {row.ref for row in platform.store.wanted()}
        platform.acknowledge("e1")
        platform.tick()
        assert gone in {row.ref for row in platform.store.wanted()}
        platform.acknowledge()
        platform.tick()
        assert gone not in {row.ref for row in platform.store.wanted()}

    def test_the_previous_version_runs_through_the_rollback_window_though_it_left_the_spec(
        self, platform: Platform
    ) -> None:
        at_step(platform, 5000)
        platform.settle(6, 5)
        assert platform.head.cause is Cause.PROMOTED
        before = platform.head.state.previous
        platform.deploy(("1.1.0",), target="1.1.0")
        platform.settle(3)
        assert {row.ref.version for row in platform.store.wanted()} == {"1.0.0", "1.1.0"}
        platform.settle(2, 3600)
        assert before not in {row.ref for row in platform.store.wanted()}

    def test_a_deleted_routes_instances_go_when_no_gateway_serves_it(self, platform: Platform) -> None:
        platform.store.delete_route("iris")
        platform.tick()
        assert platform.store.wanted() != []
        platform.programmed = dict.fromkeys(platform.programmed, 0)
        platform.tick()
        assert platform.store.wanted() == []


class TestScales:
    def test_an_idle_version_gets_no_instances_and_a_release_gives_it_some_before_it_is_ready(
        self, platform: Platform
    ) -> None:
        platform.settle(2)
        new = platform.ref("1.1.0")
        assert platform.scaled == {platform.ref("1.0.0"): 1, new: 0, platform.ref("1.2.0"): 0}
        platform.turn(new, ready=False)
        platform.release("1.1.0")
        platform.tick()
        assert (platform.scaled[new], platform.head.table.weight) == (1, 0)

    def test_a_candidate_that_is_taken_back_ends_when_every_gateway_has_acknowledged(self, platform: Platform) -> None:
        at_step(platform, 500)
        platform.ask(ActionType.ROLLBACK)
        platform.tick()
        assert (platform.head.table.weight, platform.scaled[platform.ref("1.1.0")]) == (0, 1)
        platform.acknowledge("e1")
        platform.tick()
        assert platform.scaled[platform.ref("1.1.0")] == 1
        platform.acknowledge()
        platform.tick()
        assert platform.scaled[platform.ref("1.1.0")] == 0

    def test_the_version_before_ends_after_the_rollback_window_and_a_release_of_it_starts_it_again(
        self, platform: Platform
    ) -> None:
        at_step(platform, 5000)
        platform.settle(6, 5)
        old = platform.ref("1.0.0")
        assert (platform.head.cause, platform.scaled[old]) == (Cause.PROMOTED, 1)
        platform.settle(2, 3600)
        assert platform.scaled[old] == 0
        platform.release("1.0.0")
        platform.tick()
        assert platform.scaled[old] == 1

    def test_a_control_plane_that_is_started_again_scales_the_same(self, platform: Platform) -> None:
        at_step(platform, 500)
        platform.tick()
        before = dict(platform.scaled)
        platform.scaled.clear()
        platform.engine = platform.started()
        platform.tick()
        assert platform.scaled == before


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


class TestEvidenceMovesTraffic:
    """Whole rollouts by evidence, over a real store: the gates judge the counts of the simulated traffic."""

    def serve(self, platform: Platform, *, bad: int) -> None:
        """Five seconds of traffic; two gateways each count all of it."""
        platform.serve(platform.ref("1.1.0"), ok=10 - bad, bad=bad)
        platform.serve(platform.ref("1.0.0"), ok=90)
        platform.settle(1, 5)

    def test_a_bad_candidate_loses_its_weight_and_the_ledger_says_why(self, platform: Platform) -> None:
        at_step(platform, 500)
        windows = 0
        while platform.head.state.phase is Phase.CANARY:
            self.serve(platform, bad=5)
            windows += 1
        head = platform.head
        assert windows <= 4, "the first counts nothing, and three say that half of the requests fail"
        assert (head.cause, head.table.candidate) == (Cause.ROLLED_BACK, None)
        errors = next(one for one in head.evidence if one.gate == "errors")
        assert errors.numbers["log_harm"] >= errors.numbers["harm_at"]
        newest = head.windows[-1].evidence[0]
        assert newest.log_harm == pytest.approx(errors.numbers["log_harm"], abs=1e-3)
        assert newest.state, "the last window of a revision carries the state"

    def test_a_restart_of_the_engine_forgets_no_evidence(self, platform: Platform) -> None:
        at_step(platform, 500)
        platform.ask(ActionType.PAUSE)
        platform.settle(2, 5)
        for _ in range(2):
            self.serve(platform, bad=1)
        before = platform.store.windows("iris")[-1].evidence[0].log_harm
        assert before > 0
        platform.wait(3600)
        platform.engine = platform.started()
        platform.settle(2, 5)
        assert platform.store.windows("iris")[-1].evidence[0].log_harm == before
        self.serve(platform, bad=1)
        assert platform.store.windows("iris")[-1].evidence[0].log_harm > before

    def test_evidence_goes_on_over_a_step_and_begins_anew_with_an_attempt(self, platform: Platform) -> None:
        at_step(platform, 500)
        platform.settle(1, 5)
        self.serve(platform, bad=1)
        while platform.head.table.weight == 500:
            self.serve(platform, bad=0)
        carried = platform.head.windows[-1].evidence[0].log_harm
        assert carried != 0
        platform.settle(1, 0)
        platform.turn(platform.ref("1.1.0"), ready=True)
        platform.settle(1, 5)
        assert platform.store.windows("iris")[-1].evidence[0].log_harm == pytest.approx(carried, abs=0.5)
        platform.release("1.2.0")
        platform.settle(3, 5)
        assert platform.store.windows("iris")[-1].evidence[0].log_harm == 0

    def test_more_than_240_windows_are_merged_and_say_the_same(self, platform: Platform) -> None:
        at_step(platform, 500)
        platform.ask(ActionType.PAUSE)
        platform.settle(2, 5)
        for at in range(310):
            platform.serve(platform.ref("1.1.0"), ok=10 - (at == 3), bad=int(at == 3))
            platform.serve(platform.ref("1.0.0"), ok=90)
            platform.tick(5)
        kept = platform.store.windows("iris")
        assert len(kept) <= 240
        assert sum(one.candidate.n for one in kept) == 310 * 20
        assert sum(bool(one.evidence and one.evidence[0].state) for one in kept) == 1
        assert sum(len(one.to_json()["evidence"]) for one in kept) == 5 * len(kept)

    def test_two_engines_do_not_count_the_same_time_twice(self, platform: Platform) -> None:
        at_step(platform, 500)
        platform.ask(ActionType.PAUSE)
        platform.settle(2, 5)
        other = platform.started()
        other.tick()
        platform.serve(platform.ref("1.1.0"), ok=5, bad=5)
        platform.serve(platform.ref("1.0.0"), ok=90)
        platform.wait(5)
        other.tick()
        counted = platform.store.windows("iris")[-1].evidence[0].log_harm
        platform.engine.tick()
        assert platform.store.windows("iris")[-1].evidence[0].log_harm == counted
