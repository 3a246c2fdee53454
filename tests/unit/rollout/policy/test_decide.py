"""Decisions for given observations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fairlead.contracts.action import ActionType, Outcome
from fairlead.contracts.revision import Cause, Counts, Phase, Revision, Window
from fairlead.contracts.route import (
    GateSpec,
    MirrorSpec,
    Route,
    Step,
    Sticky,
    Timeouts,
    VersionRef,
    VersionSpec,
    WarmUp,
)
from fairlead.rollout.policy.decide import decide
from fairlead.rollout.policy.observation import Observation
from fairlead.rollout.policy.settings import settings_of
from fairlead.rollout.ports import GatewayState
from unit.rollout.policy.builders import (
    FAILED,
    NOW,
    PASSED,
    STEPS,
    V0,
    V1,
    V2,
    V3,
    a_head,
    a_route,
    a_strategy,
    an_action,
    canary,
    later,
    preparing,
    promoted,
    rejected,
    seen,
    without_ready,
)


def after(route: Route, head: Revision | None, observation: Observation) -> Revision:
    """The next revision, which must continue the head."""
    decision = decide(route, head, observation, ())
    assert decision.next is not None, decision.waiting
    if head is not None:
        assert (decision.next.seq, decision.next.parent) == (head.seq + 1, head.hash)
    return decision.next


def waits(route: Route, head: Revision | None, observation: Observation) -> str:
    """What the rollout waits for, when there is no next revision."""
    decision = decide(route, head, observation, ())
    assert decision.next is None, decision.next
    return decision.waiting


class TestFirstDeployment:
    def test_nothing_happens_before_an_instance_is_ready(self) -> None:
        assert waits(a_route(), None, seen(ready={})) == "1.1.0 has no ready instance"

    def test_one_ready_instance_gets_everything(self) -> None:
        first = after(a_route(), None, seen(ready={V2: 1}))
        assert (first.seq, first.parent, first.cause, first.actor) == (1, "", Cause.CREATED, "ada")
        assert (first.table.stable, first.table.candidate, first.table.weight) == (V2, None, 0)
        assert (first.state.phase, first.state.target) == (Phase.STABLE, V2)

    def test_versions_that_are_ready_can_be_asked_by_name(self) -> None:
        assert after(a_route(), None, seen(ready={V2: 1, V3: 1})).table.pins == (V2, V3)

    def test_actions_are_refused_while_nothing_serves(self) -> None:
        decision = decide(a_route(), None, seen(ready={}), [an_action(ActionType.ROLLBACK)])
        assert [done.outcome for done in decision.finished] == [Outcome.REFUSED]


class TestRelease:
    def test_without_a_new_target_nothing_happens(self) -> None:
        assert waits(a_route("1.0.0"), a_head(), seen()) == ""

    def test_a_changed_target_starts_an_attempt_without_weight(self) -> None:
        released = after(a_route("1.1.0"), a_head(), seen(ready={V1: 1}))
        assert (released.cause, released.actor) == (Cause.RELEASED, "ada")
        assert (released.state.phase, released.state.attempt, released.state.target) == (Phase.PREPARING, 4, V2)
        assert (released.table.stable, released.table.candidate, released.table.attempt) == (V1, None, 4)

    def test_a_changed_digest_under_the_same_name_is_a_new_candidate(self) -> None:
        route = a_route("1.0.0")
        edited = VersionSpec(source="/m/1.0.0", artifact="sha256:other")
        spec = route.spec.model_copy(update={"versions": {**route.spec.versions, "1.0.0": edited}})
        released = after(route.model_copy(update={"spec": spec}), a_head(), seen())
        assert (released.state.phase, released.state.target) == (Phase.PREPARING, edited.ref("1.0.0"))
        assert released.table.stable == V1

    def test_the_candidate_can_be_asked_by_name_once_it_is_ready(self) -> None:
        pinned = after(a_route(), preparing(pins=(V1,)), seen(ready={V1: 1, V2: 1}))
        assert (pinned.cause, pinned.table.pins, pinned.table.candidate) == (Cause.PINNED, (V1, V2), None)
        assert pinned.state == preparing(pins=(V1,)).state

    def test_the_golden_rows_are_waited_for(self) -> None:
        assert waits(a_route(), preparing(), seen()).startswith("smoke")

    def test_a_passed_smoke_test_gives_the_first_weight(self) -> None:
        step = after(a_route(), preparing(), seen(9, smoke=PASSED))
        assert (step.cause, step.table.candidate, step.table.weight) == (Cause.STEP, V2, 500)
        assert (step.state.phase, step.state.step) == (Phase.CANARY, 0)
        assert (step.state.entered_at - NOW).total_seconds() == 9
        world = ["ready", "smoke", "acknowledged", "capacity", "timeouts"]
        counted = ["errors", "starved", "rejections", "share"]
        assert [check.gate for check in step.evidence] == world + counted

    def test_a_failed_smoke_test_rejects_the_version(self) -> None:
        back = after(a_route(), preparing(), seen(smoke=FAILED))
        assert (back.cause, back.table.weight, back.state.phase) == (Cause.ROLLED_BACK, 0, Phase.STABLE)
        assert [(one.ref, one.revision) for one in back.state.rejected] == [(V2, back.seq)]
        assert "golden row 3" in back.state.rejected[0].reason

    def test_a_switched_off_smoke_test_is_not_waited_for(self) -> None:
        route = a_route(strategy=a_strategy(warm_up=WarmUp(smoke=False)))
        assert after(route, preparing(), seen()).table.weight == 500

    def test_a_version_that_does_not_become_ready_in_time_is_rejected(self) -> None:
        assert waits(a_route(), preparing(), seen(600, ready={V1: 1})).startswith("ready")
        back = after(a_route(), preparing(), seen(601, ready={V1: 1}))
        assert (back.cause, back.state.rejected[0].ref) == (Cause.ROLLED_BACK, V2)

    def test_a_version_must_stay_ready_for_its_soak_time(self) -> None:
        route = a_route(strategy=a_strategy(warm_up=WarmUp(soak=30.0)))
        soaking = seen(25, smoke=PASSED, windows=without_ready(25, then=1))
        assert "30s" in waits(route, preparing(), soaking)
        assert after(route, preparing(), replace(soaking, windows=without_ready(30, then=1))).table.weight == 500

    def test_without_steps_the_version_is_promoted_at_once(self) -> None:
        done = after(a_route(strategy=a_strategy(steps=())), preparing(), seen(smoke=PASSED))
        assert (done.cause, done.table.stable) == (Cause.PROMOTED, V2)


class TestRise:
    def test_a_step_holds_for_its_time(self) -> None:
        assert waits(a_route(), canary(), seen(29)) == "step 1 of 2 holds for 30s"

    def test_the_next_step_follows(self) -> None:
        step = after(a_route(), canary(), seen(30))
        assert (step.cause, step.table.weight, step.state.step) == (Cause.STEP, 2500, 1)

    def test_a_step_waits_for_its_approval(self) -> None:
        assert waits(a_route(), canary(2500), seen(999)) == "step 2 of 2 waits for an approval"

    def test_an_approved_last_step_is_promoted(self) -> None:
        done = after(a_route(), canary(2500, approved=1), seen(30))
        assert (done.cause, done.table.stable, done.table.candidate, done.table.weight) == (Cause.PROMOTED, V2, None, 0)
        assert (done.state.previous, done.state.previous_revision, done.state.phase) == (V1, 7, Phase.STABLE)
        assert (done.state.promoted_at, done.state.step, done.state.approved) == (seen(30).now, -1, -1)

    @pytest.mark.parametrize(
        ("candidate", "stable", "counted"),
        [
            (Counts(n=363, bad=1), Counts(n=1089), "; 1 of 363 requests failed against 0 of 1,089"),
            (Counts(n=20, bad=2), Counts(n=60, bad=5), "; 2 of 20 requests failed against 5 of 60"),
            (Counts(n=20, bad=2), Counts(n=60, bad=6), ""),
            (Counts(n=20), Counts(n=60, bad=1), ""),
            (Counts(n=20), Counts(n=60), ""),
        ],
    )
    def test_a_promotion_says_when_the_candidate_failed_more_often(
        self, candidate: Counts, stable: Counts, counted: str
    ) -> None:
        served = {"candidate": candidate, "stable": stable, "assigned": candidate.n}
        window = Window(start=NOW, end=later(30), weight=2500, ready=1, **served)
        done = after(a_route(), canary(2500, approved=1), seen(31, windows=(window,)))
        assert (done.cause, done.reason) == (Cause.PROMOTED, f"1.1.0 passed every step and is stable{counted}")

    @pytest.mark.parametrize(
        ("world", "why"),
        [
            (seen(30, acked=6), "does not serve iris.7 yet"),
            (seen(30, gateways=()), "no gateway answers"),
            (seen(30, gateways=(GatewayState("edge", reachable=False, programmed={"iris": 7}),)), "no gateway answers"),
            (
                seen(30, gateways=(GatewayState("edge", True, {"iris": 6}, rejected="bad route"),)),
                "edge refuses the configuration: bad route",
            ),
            (
                seen(30, gateways=(GatewayState("e1", True, {"iris": 7}), GatewayState("e2", True, {"iris": 6}))),
                "e2 does not serve",
            ),
            (seen(30, ready={V1: 8, V2: 1}), "needs 2 instances"),
            (seen(30, ready={V1: 1}), "no ready instance"),
        ],
    )
    def test_a_weight_does_not_rise(self, world: Observation, why: str) -> None:
        assert why in waits(a_route(), canary(), world)

    def test_a_gateway_that_does_not_answer_holds_no_rollout(self) -> None:
        gateways = (GatewayState("e1", True, {"iris": 7}), GatewayState("e2", reachable=False))
        assert after(a_route(), canary(), seen(30, gateways=gateways)).table.weight == 2500

    def test_the_promotion_needs_as_many_instances_as_stable_has(self) -> None:
        head = canary(2500, approved=1)
        assert "100 % needs 4 instances" in waits(a_route(), head, seen(30, ready={V1: 4, V2: 3}))
        assert after(a_route(), head, seen(30, ready={V1: 4, V2: 4})).cause is Cause.PROMOTED

    def test_an_instance_of_stable_that_fails_lowers_no_need(self) -> None:
        world = seen(30, ready={V1: 1, V2: 1}, wanted={V1: 2, V2: 1})
        head = canary(5000, approved=1)
        assert waits(a_route(), head, world) == "capacity: 100 % needs 2 instances of 1.1.0 ready, there are 1"

    def test_an_instance_of_stable_that_is_no_longer_wanted_lowers_the_need(self) -> None:
        world = seen(30, ready={V1: 2, V2: 1}, wanted={V1: 1, V2: 1})
        assert after(a_route(), canary(5000, approved=1), world).cause is Cause.PROMOTED

    def test_where_it_is_not_known_how_many_stable_should_have_the_most_it_had_in_this_attempt_counts(self) -> None:
        had = without_ready(5, then=1)[0].model_copy(update={"stable_instances": 2})
        head = canary(5000, approved=1)
        assert "100 % needs 2 instances" in waits(a_route(), head, seen(99, ready={V1: 1, V2: 1}, windows=(had,)))

    def test_a_gateway_that_was_behind_and_stopped_answering_holds(self) -> None:
        behind = GatewayState("e2", reachable=True, programmed={"iris": 6})
        world = replace(seen(30), lost=(behind,))
        assert waits(a_route(), canary(), world) == (
            "acknowledged: e2 stopped answering before it served iris.7; the others go on without it after 1m"
        )

    def test_a_gateway_that_had_served_the_head_before_it_stopped_answering_holds_nothing(self) -> None:
        served = GatewayState("e2", reachable=True, programmed={"iris": 7})
        assert after(a_route(), canary(), replace(seen(30), lost=(served,))).table.weight == 2500

    def test_a_route_that_names_no_gates_has_the_same_ones(self) -> None:
        route = a_route(strategy=a_strategy(gates=()))
        assert "does not serve" in waits(route, canary(), seen(30, acked=6))

    def test_an_edited_plan_never_lowers_a_weight(self) -> None:
        route = a_route(strategy=a_strategy(steps=(STEPS[0], STEPS[0].model_copy(update={"weight": 9000}))))
        assert after(route, canary(2500), seen(30)).table.weight == 9000

    @pytest.mark.parametrize("head", [preparing(), canary(), canary(2500, approved=1)])
    def test_nothing_rises_beside_a_stable_version_that_is_down_until_a_person_promotes(self, head: Revision) -> None:
        down = seen(90, ready={V2: 4}, smoke=PASSED)
        assert waits(a_route(), head, down) == (
            "1.0.0 has no ready instance, so 1.1.0 cannot be compared with it: start it, or `fairlead promote iris`"
        )
        done = decide(a_route(), head, down, [an_action(ActionType.PROMOTE)]).next
        assert done is not None
        assert (done.cause, done.table.stable) == (Cause.PROMOTED, V2)


class TestFall:
    @pytest.mark.parametrize("world", [seen(acked=0), seen(gateways=()), seen()])
    def test_a_candidate_that_stays_away_is_rolled_back_without_waiting(self, world: Observation) -> None:
        away = replace(world, ready={V1: 1}, windows=without_ready(65))
        back = after(a_route(), canary(), away)
        assert (back.cause, back.table.candidate, back.table.weight, back.table.stable) == (
            Cause.ROLLED_BACK,
            None,
            0,
            V1,
        )
        assert back.state.rejected[0].reason == "ready: 1.1.0 has had no ready instance for 1m"

    def test_a_restart_of_the_candidate_is_no_failure(self) -> None:
        away = seen(99, ready={V1: 1}, windows=without_ready(60))
        assert waits(a_route(), canary(), away).startswith("ready: 1.1.0 has no ready instance")

    def test_unreadiness_that_was_not_observed_is_no_failure(self) -> None:
        away = seen(999, ready={V1: 1}, windows=without_ready(600, then=None))
        assert "no ready instance" in waits(a_route(), canary(), away)

    def test_a_ready_gate_that_is_a_signal_holds(self) -> None:
        route = a_route(strategy=a_strategy(gates=(GateSpec(name="ready", role="signal"),)))
        assert "no ready instance" in waits(route, canary(), seen(99, ready={V1: 1}, windows=without_ready(65)))

    def test_a_rejected_version_is_not_tried_again(self) -> None:
        head = a_head(target=V2, rejected=rejected())
        assert waits(a_route(), head, seen(9999)) == (
            "1.1.0 was rejected in revision iris.5 (smoke: wrong answers); "
            "release another version, or when the cause is fixed: `fairlead retry iris`"
        )

    def test_another_target_during_a_rollout_takes_the_weight_first(self) -> None:
        released = after(a_route("1.2.0"), canary(2500), seen())
        assert (released.cause, released.table.candidate, released.table.weight) == (Cause.RELEASED, None, 0)
        assert (released.state.phase, released.state.attempt, released.state.target) == (Phase.PREPARING, 4, V3)
        assert released.state.rejected == ()

    def test_the_target_set_back_to_stable_ends_the_rollout(self) -> None:
        ended = after(a_route("1.0.0"), canary(2500), seen())
        assert (ended.cause, ended.table.weight, ended.state.phase) == (Cause.SPEC, 0, Phase.STABLE)
        assert (ended.state.target, ended.state.rejected) == (V1, ())

    @pytest.mark.parametrize("target", ["1.0.0", "1.2.0"])
    def test_while_only_the_candidate_answers_a_changed_target_does_not_end_the_rollout(self, target: str) -> None:
        down = seen(999, ready={V2: 1, V3: 1}, windows=without_ready(65))
        assert waits(a_route(target), canary(), down) == (
            f"the target is {target} now, but 1.1.0 keeps its 5 %, because 1.0.0 has no ready instance: start it, or "
            "`fairlead promote iris`, or `fairlead rollback iris --even-if-down`"
        )
        assert after(a_route(target), canary(), seen(999)).table.weight == 0
        nothing_answers = after(a_route(target), canary(), seen(999, ready={}))
        assert nothing_answers.table.weight == 0

    def test_while_a_changed_target_waits_a_promotion_by_a_user_ends_the_rollout(self) -> None:
        down, action = seen(ready={V2: 1, V3: 1}), an_action(ActionType.PROMOTE)
        done = decide(a_route("1.2.0"), canary(), down, [action]).next
        assert done is not None
        assert (done.cause, done.table.stable) == (Cause.PROMOTED, V2)
        released = decide(a_route("1.2.0"), done.sealed(), down, []).next
        assert released is not None
        assert (released.cause, released.state.target, released.table.stable) == (Cause.RELEASED, V3, V2)

    def test_while_a_changed_target_waits_other_changes_of_the_spec_are_served(self) -> None:
        route = a_route("1.2.0", timeouts=Timeouts(request=3.0))
        served = after(route, canary(), seen(ready={V2: 1, V3: 1}))
        assert (served.cause, served.table.request_timeout_s, served.table.weight) == (Cause.SPEC, 3.0, 500)

    def test_nothing_falls_onto_a_stable_version_that_is_down(self) -> None:
        route = a_route(strategy=a_strategy(gates=(GateSpec(name="acknowledged", role="guard"),)))
        refused = seen(30, gateways=(GatewayState("edge", True, {"iris": 6}, rejected="bad"),), ready={V2: 1})
        assert "not rolled back, because 1.0.0 has no ready instance" in waits(route, canary(), refused)
        assert after(route, canary(), replace(refused, ready={V1: 1, V2: 1})).cause is Cause.ROLLED_BACK


class TestPaused:
    @pytest.mark.parametrize(
        ("head", "world"),
        [
            (preparing(paused=True), seen(smoke=PASSED)),
            (preparing(paused=True), seen(smoke=FAILED)),
            (preparing(paused=True), seen(9999, ready={V1: 1})),
            (canary(paused=True), seen(30)),
            (canary(paused=True), seen(ready={V1: 1}, windows=without_ready(600))),
        ],
    )
    def test_neither_step_nor_weight_moves(self, head: Revision, world: Observation) -> None:
        assert waits(a_route(), head, world).startswith("paused")

    def test_the_user_may_still_withdraw(self) -> None:
        ended = after(a_route("1.0.0"), canary(paused=True), seen())
        assert (ended.table.weight, ended.state.paused) == (0, True)


class TestSpec:
    @pytest.mark.parametrize(
        ("changes", "field", "value"),
        [
            ({"sticky": Sticky(header="x-account")}, "sticky", "x-account"),
            ({"sticky": None}, "sticky", None),
            ({"timeouts": Timeouts(request=3.0, per_try=1.0)}, "request_timeout_s", 3.0),
            ({"timeouts": Timeouts(request=3.0, per_try=1.0)}, "per_try_timeout_s", 1.0),
            ({"idempotent": False}, "idempotent", False),
        ],
    )
    @pytest.mark.parametrize(
        "head", [a_head(target=V2, rejected=rejected()), preparing(), canary(), canary(paused=True)]
    )
    def test_a_changed_spec_is_a_revision_with_the_same_weights(
        self, head: Revision, changes: dict[str, Any], field: str, value: object
    ) -> None:
        made = after(a_route(generation=3, **changes), head, seen())
        assert (made.cause, made.actor, made.generation) == (Cause.SPEC, "ada", 3)
        assert getattr(made.table, field) == value
        assert (made.table.candidate, made.table.weight) == (head.table.candidate, head.table.weight)
        assert made.state == head.state

    def test_a_mirror_begins_when_its_version_has_been_ready(self) -> None:
        route = a_route("1.0.0", mirrors=(MirrorSpec(version="1.2.0", share=100),))
        head = a_head(pins=(V1, V2))
        assert waits(route, head, seen(ready={V1: 1, V2: 1})) == ""
        begun = after(route, head, seen())
        assert [(one.version, one.share) for one in begun.table.mirrors] == [(V3, 100)]

    def test_a_version_that_left_the_spec_loses_its_pin(self) -> None:
        gone = after(a_route("1.0.0", versions=("1.0.0", "1.1.0")), a_head(), seen())
        assert (gone.cause, gone.table.pins) == (Cause.SPEC, (V1, V2))

    def test_a_version_that_serves_stays_though_it_left_the_spec(self) -> None:
        kept = after(a_route("1.1.0", versions=("1.1.0",)), canary(), seen())
        assert (kept.table.stable, kept.table.pins) == (V1, (V1, V2))

    def test_a_pin_stays_while_its_version_is_not_ready(self) -> None:
        assert waits(a_route("1.0.0"), a_head(), seen(ready={V1: 1})) == ""

    def test_the_order_of_versions_in_the_spec_means_nothing(self) -> None:
        assert waits(a_route("1.0.0", versions=("1.2.0", "1.0.0", "1.1.0")), a_head(), seen()) == ""


class TestTargetThatCannotStart:
    """A4: the spec asks for a version that was rejected, while another one is being released."""

    def test_the_rollout_goes_on_and_the_ledger_says_why(self) -> None:
        noted = after(a_route("1.2.0", generation=3), canary(rejected=rejected(V3)), seen())
        assert (noted.cause, noted.table.candidate, noted.table.weight, noted.generation) == (Cause.SPEC, V2, 500, 3)
        assert (noted.state.phase, noted.state.target, noted.state.declined) == (Phase.CANARY, V2, V3)
        assert noted.reason == (
            "1.2.0 is asked for and was rejected in revision iris.5 (smoke: wrong answers); "
            "the rollout of 1.1.0 goes on"
        )

    def test_it_is_noted_once_and_the_weight_rises(self) -> None:
        head = canary(rejected=rejected(V3), declined=V3)
        assert waits(a_route("1.2.0"), head, seen(1)) == "step 1 of 2 holds for 30s"
        assert after(a_route("1.2.0"), head, seen(30)).table.weight == 2500

    @pytest.mark.parametrize("head", [preparing(rejected=rejected(V3)), canary(paused=True, rejected=rejected(V3))])
    def test_it_ends_no_preparation_and_no_paused_rollout_either(self, head: Revision) -> None:
        noted = after(a_route("1.2.0"), head, seen())
        assert (noted.state.phase, noted.state.target, noted.table.weight) == (head.state.phase, V2, head.table.weight)

    def test_the_target_set_back_to_the_candidate_is_noted(self) -> None:
        again = after(a_route("1.1.0"), canary(declined=V3, rejected=rejected(V3)), seen())
        assert (again.cause, again.table.weight, again.state.declined) == (Cause.SPEC, 500, None)

    def test_the_promotion_ends_the_rollout_and_the_rejected_target_starts_none(self) -> None:
        head = canary(2500, approved=1, rejected=rejected(V3), declined=V3)
        done = after(a_route("1.2.0"), head, seen(30))
        assert (done.cause, done.table.stable, done.state.declined) == (Cause.PROMOTED, V2, None)
        rested = after(a_route("1.2.0"), done.sealed(), seen(30, acked=8))
        assert (rested.table.stable, rested.state.phase, rested.state.target) == (V2, Phase.STABLE, V3)
        assert waits(a_route("1.2.0"), rested.sealed(), seen(30, acked=9)).startswith("1.2.0 was rejected")

    def test_after_that_promotion_one_rollback_goes_back_and_a_second_one_does_not(self) -> None:
        head = promoted(previous_revision=6, target=V3, rejected=rejected(V3, revision=5))
        decision = decide(a_route("1.2.0"), head, seen(), [an_action(ActionType.ROLLBACK)])
        assert decision.next is not None
        assert (decision.next.cause, decision.next.table.stable) == (Cause.ROLLED_BACK, V1)
        again = decide(a_route("1.2.0"), decision.next.sealed(), seen(acked=8), [an_action(ActionType.ROLLBACK, "a2")])
        assert [done.outcome for done in again.finished] == [Outcome.REFUSED]

    def test_a_third_version_is_a_release(self) -> None:
        head = canary(rejected=rejected(V3), declined=V3)
        route = a_route("2.0.0", versions=("1.0.0", "1.1.0", "1.2.0", "2.0.0"))
        assert after(route, head, seen()).cause is Cause.RELEASED

    def test_a_retry_of_it_ends_the_rollout_because_a_person_wants_it(self) -> None:
        head = canary(rejected=rejected(V3), declined=V3)
        decision = decide(a_route("1.2.0"), head, seen(), [an_action(ActionType.RETRY)])
        assert decision.next is not None
        assert (decision.next.cause, decision.next.state.target) == (Cause.RELEASED, V3)

    def test_a_candidate_that_left_the_spec_is_not_released_further(self) -> None:
        route = a_route("1.2.0", versions=("1.0.0", "1.2.0"))
        ended = after(route, canary(rejected=rejected(V3)), seen())
        assert (ended.cause, ended.table.weight, ended.state.phase, ended.state.target) == (
            Cause.SPEC,
            0,
            Phase.STABLE,
            V3,
        )
        assert waits(route, ended.sealed(), seen()).startswith("1.2.0 was rejected")


class TestChangedSettings:
    """Every change of strategy, gates or timeouts is a revision that names it."""

    @staticmethod
    def began_with(head: Revision, route: Route) -> Revision:
        return head.model_copy(update={"settings": settings_of(route.spec), "generation": 1}).sealed()

    def test_the_same_settings_are_no_revision(self) -> None:
        head = self.began_with(canary(), a_route())
        assert waits(a_route(generation=9), head, seen()) == "step 1 of 2 holds for 30s"

    def test_a_route_that_was_deleted_and_created_again_is_compared_anew(self) -> None:
        head = self.began_with(canary(), a_route())
        again = a_route(strategy=a_strategy(min_requests=50), generation=1).model_copy(update={"created_at": later(60)})
        assert after(again, head, seen(90)).reason == "the spec changed: strategy.minRequests: 0 -> 50"

    def test_defaults_that_are_written_out_are_no_revision(self) -> None:
        head = self.began_with(a_head(), a_route("1.0.0", timeouts=Timeouts()))
        explicit = a_route("1.0.0", timeouts=Timeouts.model_validate(Timeouts().model_dump()), generation=9)
        assert waits(explicit, head, seen()) == ""

    def test_gates_in_another_order_are_no_revision(self) -> None:
        gates = (GateSpec(name="errors", margin=0.1), GateSpec(name="starved"))
        head = self.began_with(canary(), a_route(strategy=a_strategy(gates=gates)))
        other = a_route(strategy=a_strategy(gates=gates[::-1]), generation=9)
        assert waits(other, head, seen()) == "step 1 of 2 holds for 30s"

    def test_a_revision_of_an_older_release_that_has_no_settings_is_no_change(self) -> None:
        assert waits(a_route("1.0.0", strategy=a_strategy(steps=())), a_head(), seen()) == ""

    @pytest.mark.parametrize(
        ("changes", "names"),
        [
            (
                {"steps": (Step(weight=5000, min_duration=10.0),)},
                "strategy.steps: 5 %, 25 % with approval -> 50 % for 10s",
            ),
            ({"steps": ()}, "strategy.steps: 5 %, 25 % with approval -> no steps"),
            ({"min_requests": 50}, "strategy.minRequests: 0 -> 50"),
            ({"gates": (GateSpec(name="errors", margin=0.1),)}, 'strategy.gates.errors: default -> {"margin": 0.1}'),
            ({"warm_up": WarmUp(soak=5.0)}, "strategy.warmUp.soak: default -> 5s"),
        ],
    )
    @pytest.mark.parametrize(
        "head", [a_head(target=V2, rejected=rejected()), preparing(), canary(), canary(paused=True)]
    )
    def test_a_changed_strategy_is_a_revision_that_names_it(
        self, head: Revision, changes: dict[str, Any], names: str
    ) -> None:
        made = after(a_route(strategy=a_strategy(**changes), generation=3), self.began_with(head, a_route()), seen())
        assert (made.cause, made.actor, made.generation) == (Cause.SPEC, "ada", 3)
        assert made.reason == f"the spec changed: {names}"
        assert (made.table, made.state.target) == (head.table, head.state.target)
        settled = decide(a_route(strategy=a_strategy(**changes), generation=3), made.sealed(), seen(acked=8), ())
        assert settled.next is None or settled.next.cause is not Cause.SPEC, "noted twice"

    def test_the_reason_that_the_user_gave_follows(self) -> None:
        route = a_route(strategy=a_strategy(min_requests=50)).model_copy(update={"reason": "more certainty"})
        made = after(route, self.began_with(canary(), a_route()), seen())
        assert made.reason == "the spec changed: strategy.minRequests: 0 -> 50 (more certainty)"

    def test_a_shorter_plan_has_no_step_beyond_its_last(self) -> None:
        head = self.began_with(canary(2500, approved=1), a_route())
        made = after(a_route(strategy=a_strategy(steps=STEPS[:1])), head, seen())
        assert (made.table.weight, made.state.step, made.state.approved) == (2500, 0, -1)

    def test_an_approval_is_for_a_weight_and_not_for_a_number(self) -> None:
        head = self.began_with(canary(2500, approved=1), a_route())
        longer = (Step(weight=100), *STEPS, Step(weight=7500, approval=True))
        made = after(a_route(strategy=a_strategy(steps=longer)), head, seen())
        assert (made.state.step, made.state.approved) == (2, 2)
        moved = (Step(weight=100), Step(weight=200), Step(weight=2000, approval=True), Step(weight=9000))
        made = after(a_route(strategy=a_strategy(steps=moved)), head, seen())
        assert (made.state.step, made.state.approved) == (2, -1), "nobody approved a step of 20 %"

    def test_a_release_with_other_steps_is_two_revisions(self) -> None:
        head = self.began_with(a_head(), a_route("1.0.0"))
        route = a_route("1.1.0", strategy=a_strategy(steps=()))
        noted = after(route, head, seen())
        assert (noted.cause, noted.state.target) == (Cause.SPEC, V1)
        assert after(route, noted.sealed(), seen()).cause is Cause.RELEASED


def _identity(version: str, artifact: str) -> VersionRef:
    return VersionSpec(artifact=artifact).ref(version)


def test_two_identities_of_one_name_can_both_be_pinned() -> None:
    edited = VersionSpec(source="/m/1.0.0", artifact="sha256:other")
    route = a_route("1.0.0")
    spec = route.spec.model_copy(update={"versions": {**route.spec.versions, "1.0.0": edited}})
    new = _identity("1.0.0", "sha256:other")
    step = after(
        route.model_copy(update={"spec": spec}),
        preparing(target=new, pins=(V1, new, V2, V3)),
        seen(smoke=PASSED, ready={V1: 1, new: 1}),
    )
    assert (step.table.stable, step.table.candidate) == (V1, new)
    assert {V1, new} <= set(step.table.pins)


def test_a_release_keeps_the_previous_version_for_a_rollback() -> None:
    released = after(a_route("1.2.0"), promoted(), seen())
    assert (released.state.previous, released.state.promoted_at) == (V1, NOW)
    assert V0 not in released.table.pins
