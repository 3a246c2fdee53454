"""Decisions for given observations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fairlead.contracts.action import ActionType, Outcome
from fairlead.contracts.revision import Cause, Phase, Revision
from fairlead.contracts.route import GateSpec, MirrorSpec, Route, Sticky, Timeouts, VersionRef, VersionSpec, WarmUp
from fairlead.rollout.policy.decide import decide
from fairlead.rollout.policy.observation import Observation
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
        world, evidence = ["ready", "smoke", "acknowledged", "capacity"], ["errors", "starved", "rejections"]
        assert [check.gate for check in step.evidence] == world + evidence

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

    def test_a_route_that_names_no_gates_has_the_same_ones(self) -> None:
        route = a_route(strategy=a_strategy(gates=()))
        assert "does not serve" in waits(route, canary(), seen(30, acked=6))

    def test_an_edited_plan_never_lowers_a_weight(self) -> None:
        route = a_route(strategy=a_strategy(steps=(STEPS[0], STEPS[0].model_copy(update={"weight": 9000}))))
        assert after(route, canary(2500), seen(30)).table.weight == 9000

    def test_a_release_may_repair_a_stable_version_that_is_down(self) -> None:
        assert after(a_route(), canary(), seen(30, ready={V2: 1})).table.weight == 2500


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
        assert "was rejected in revision iris.5" in waits(a_route(), head, seen(9999))

    def test_another_target_during_a_rollout_takes_the_weight_first(self) -> None:
        released = after(a_route("1.2.0"), canary(2500), seen())
        assert (released.cause, released.table.candidate, released.table.weight) == (Cause.RELEASED, None, 0)
        assert (released.state.phase, released.state.attempt, released.state.target) == (Phase.PREPARING, 4, V3)
        assert released.state.rejected == ()

    def test_the_target_set_back_to_stable_ends_the_rollout(self) -> None:
        ended = after(a_route("1.0.0"), canary(2500), seen())
        assert (ended.cause, ended.table.weight, ended.state.phase) == (Cause.SPEC, 0, Phase.STABLE)
        assert (ended.state.target, ended.state.rejected) == (V1, ())

    def test_a_rejected_target_during_a_rollout_ends_it_and_starts_none(self) -> None:
        ended = after(a_route("1.2.0"), canary(rejected=rejected(V3)), seen())
        assert (ended.cause, ended.table.weight, ended.state.phase, ended.state.target) == (
            Cause.SPEC,
            0,
            Phase.STABLE,
            V3,
        )
        assert waits(a_route("1.2.0"), ended.sealed(), seen()).startswith("1.2.0 was rejected")

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

    def test_a_changed_plan_alone_is_no_revision(self) -> None:
        assert waits(a_route("1.0.0", strategy=a_strategy(steps=())), a_head(), seen()) == ""

    def test_the_order_of_versions_in_the_spec_means_nothing(self) -> None:
        assert waits(a_route("1.0.0", versions=("1.2.0", "1.0.0", "1.1.0")), a_head(), seen()) == ""


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
