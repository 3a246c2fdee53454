"""Decisions for given observations: the first deployment, a release, a pause."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fairlead.contracts.action import ActionType, Outcome
from fairlead.contracts.revision import Cause, Check, Phase, Revision, Verdict
from fairlead.contracts.route import VersionRef, VersionSpec, WarmUp
from fairlead.rollout.policy.decide import decide
from fairlead.rollout.policy.observation import Observation
from unit.rollout.policy.builders import (
    FAILED,
    NOW,
    PASSED,
    V0,
    V1,
    V2,
    V3,
    a_head,
    a_route,
    a_strategy,
    after,
    an_action,
    canary,
    preparing,
    promoted,
    seen,
    waits,
    without_ready,
)


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

    def test_later_steps_repeat_what_the_smoke_test_said(self) -> None:
        nothing = Check(gate="smoke", verdict=Verdict.PASS, reason="nothing was asked: 1.1.0 has no golden rows")
        first = after(a_route(), preparing(), seen(9, smoke=nothing))
        second = decide(a_route(), first, seen(9, acked=first.seq), [])
        assert nothing in second.checks

    def test_after_a_revision_without_checks_the_smoke_test_says_only_when_it_was_decided(self) -> None:
        (check,) = [one for one in decide(a_route(), canary(), seen(9), []).checks if one.gate == "smoke"]
        assert (check.verdict, check.reason) == (Verdict.PASS, "decided before the first weight")

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
