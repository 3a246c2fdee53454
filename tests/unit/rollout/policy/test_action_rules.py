"""Which actions are carried out, which are refused, and which have expired."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.contracts.action import Action, ActionType, Outcome
from fairlead.contracts.revision import Cause, Phase, Revision
from fairlead.contracts.route import Route
from fairlead.rollout.policy.decide import decide
from fairlead.rollout.policy.observation import Decision, Observation
from unit.rollout.policy.builders import (
    NOW,
    PASSED,
    V0,
    V1,
    V2,
    V3,
    a_head,
    a_route,
    an_action,
    canary,
    later,
    preparing,
    promoted,
    rejected,
    seen,
)

ROLLBACK, RETRY, APPROVE, PAUSE, RESUME = ActionType


def asked(route: Route, head: Revision, world: Observation, *actions: Action) -> Decision:
    return decide(route, head, world, actions)


def carried_out(route: Route, head: Revision, world: Observation, action: Action) -> Revision:
    decision = asked(route, head, world, action)
    assert decision.finished == ()
    assert decision.next is not None
    assert decision.next.action == action.name
    assert decision.next.actor == action.actor
    return decision.next


def refused(route: Route, head: Revision, world: Observation, action: Action) -> str:
    (done,) = asked(route, head, world, action).finished
    assert done.outcome is Outcome.REFUSED
    return done.message


class TestRollback:
    @pytest.mark.parametrize("head", [preparing(), canary(), canary(2500, paused=True)])
    @pytest.mark.parametrize("world", [seen(), seen(acked=0, gateways=(), ready={}), seen(smoke=PASSED)])
    def test_a_rollout_ends_without_waiting_for_anything(self, head: Revision, world: Observation) -> None:
        back = carried_out(a_route(), head, world, an_action(ROLLBACK, reason="errors in the log"))
        assert (back.cause, back.table.weight, back.table.candidate) == (Cause.ROLLED_BACK, 0, None)
        assert (back.table.stable, back.state.phase) == (V1, Phase.STABLE)
        assert [(one.ref, one.reason) for one in back.state.rejected] == [(V2, "errors in the log")]

    def test_after_a_promotion_the_one_before_serves_again(self) -> None:
        back = carried_out(a_route(), promoted(), seen(), an_action(ROLLBACK))
        assert (back.table.stable, back.restored_from, back.state.previous) == (V1, 6, None)
        assert [one.ref for one in back.state.rejected] == [V2]

    def test_a_version_that_was_rolled_back_is_not_tried_again(self) -> None:
        back = carried_out(a_route(), promoted(), seen(), an_action(ROLLBACK)).sealed()
        decision = asked(a_route(), back, seen(9999, acked=8))
        assert decision.next is None
        assert "was rejected" in decision.waiting

    def test_pressing_twice_does_not_go_back_twice(self) -> None:
        head = a_head(target=V2, rejected=rejected(), previous=V0, previous_revision=2, promoted_at=NOW)
        why = refused(a_route(), head, seen(ready={V0: 1, V1: 1}), an_action(ROLLBACK))
        assert "1.1.0 is out since revision iris.5 and 1.0.0 serves" in why

    def test_a_version_without_a_ready_instance_is_not_gone_back_to(self) -> None:
        why = refused(a_route(), promoted(), seen(ready={V2: 1}), an_action(ROLLBACK))
        assert why == "1.0.0 has no ready instance, going back to it would be an outage; start it and try again"

    def test_a_version_that_left_the_spec_is_gone_back_to_while_it_still_runs(self) -> None:
        route = a_route("1.1.0", versions=("1.1.0",))
        assert carried_out(route, promoted(pins=(V2,)), seen(), an_action(ROLLBACK)).table.stable == V1

    def test_the_refusal_for_a_version_that_left_and_stopped_says_what_to_do(self) -> None:
        why = refused(a_route(versions=("1.1.0",)), promoted(pins=(V2,)), seen(ready={V2: 1}), an_action(ROLLBACK))
        assert "put it back into `versions`" in why

    def test_with_nothing_before_there_is_nothing_to_go_back_to(self) -> None:
        assert "nothing before 1.0.0" in refused(a_route("1.0.0"), a_head(), seen(), an_action(ROLLBACK))

    def test_a_named_revision_is_gone_back_to(self) -> None:
        named = {4: a_head(stable=V3, seq=4)}
        back = carried_out(a_route(), promoted(), seen(named=named), an_action(ROLLBACK, to_revision=4))
        assert (back.table.stable, back.restored_from) == (V3, 4)

    def test_during_a_rollout_a_named_revision_may_be_older_than_stable(self) -> None:
        named = {4: a_head(stable=V3, seq=4)}
        back = carried_out(a_route(), canary(), seen(named=named), an_action(ROLLBACK, to_revision=4))
        assert (back.table.stable, back.table.weight, [one.ref for one in back.state.rejected]) == (V3, 0, [V2])

    def test_going_back_to_the_target_itself_clears_its_rejection(self) -> None:
        head = a_head(target=V2, rejected=rejected())
        named = {4: a_head(stable=V2, seq=4)}
        back = carried_out(a_route(), head, seen(named=named), an_action(ROLLBACK, to_revision=4))
        assert (back.table.stable, back.state.rejected) == (V2, ())

    @pytest.mark.parametrize(
        ("named", "why"),
        [
            ({}, "revision iris.4 is not in the ledger"),
            ({4: a_head(stable=V2, seq=4)}, "1.1.0 serves already"),
            ({4: a_head(stable=V0, seq=4)}, "no longer in the route"),
        ],
    )
    def test_a_named_revision_that_cannot_be_gone_back_to(self, named: dict[int, Revision], why: str) -> None:
        world = seen(named=named, ready={V0: 1, V1: 1, V2: 1})
        assert why in refused(a_route(), promoted(), world, an_action(ROLLBACK, to_revision=4))


class TestRetry:
    def test_a_rejected_version_gets_a_new_attempt(self) -> None:
        again = carried_out(a_route(), a_head(target=V2, rejected=rejected()), seen(), an_action(RETRY))
        assert (again.cause, again.state.phase, again.state.attempt) == (Cause.RELEASED, Phase.PREPARING, 4)
        assert (again.state.rejected, again.table.weight) == ((), 0)

    @pytest.mark.parametrize("head", [canary(), promoted()])
    def test_there_is_nothing_to_try_again(self, head: Revision) -> None:
        assert "not rejected" in refused(a_route(), head, seen(), an_action(RETRY))


class TestApprove:
    def test_the_present_step_is_approved_and_the_next_tick_rises(self) -> None:
        approved = carried_out(a_route(), canary(2500), seen(30), an_action(APPROVE, attempt=3))
        assert (approved.cause, approved.state.approved, approved.table.weight) == (Cause.ACTION, 1, 2500)
        decision = asked(a_route(), approved.sealed(), seen(30, acked=8))
        assert decision.next is not None
        assert decision.next.cause is Cause.PROMOTED

    @pytest.mark.parametrize(
        ("head", "why"),
        [
            (a_head(target=V2, rejected=rejected()), "no step waits"),
            (preparing(), "no step waits"),
            (canary(500), "no step waits"),
            (canary(2500, approved=1), "approved already"),
        ],
    )
    def test_nothing_to_approve(self, head: Revision, why: str) -> None:
        assert why in refused(a_route(), head, seen(), an_action(APPROVE))

    def test_an_approval_of_another_step_came_too_late(self) -> None:
        (done,) = asked(a_route(), canary(2500), seen(), an_action(APPROVE, step=0)).finished
        assert (done.outcome, done.message) == (
            Outcome.EXPIRED,
            "it was meant for step 1, which is not the present one",
        )


class TestPause:
    @pytest.mark.parametrize("head", [a_head(target=V2, rejected=rejected()), preparing(), canary()])
    def test_pausing_moves_nothing(self, head: Revision) -> None:
        paused = carried_out(a_route(), head, seen(), an_action(PAUSE))
        assert (paused.cause, paused.state.paused) == (Cause.ACTION, True)
        assert paused.table == head.table

    def test_resuming_goes_on_where_it_was(self) -> None:
        resumed = carried_out(a_route(), canary(paused=True), seen(30), an_action(RESUME))
        assert (resumed.state.paused, resumed.state.entered_at, resumed.table.weight) == (False, NOW, 500)

    def test_a_deadline_does_not_pass_during_a_pause(self) -> None:
        resumed = carried_out(a_route(), preparing(paused=True), seen(9999, ready={V1: 1}), an_action(RESUME))
        decision = asked(a_route(), resumed.sealed(), seen(9999, ready={V1: 1}))
        assert decision.next is None

    def test_pausing_twice_and_resuming_what_runs_are_refused(self) -> None:
        assert "already" in refused(a_route(), canary(paused=True), seen(), an_action(PAUSE))
        assert "not paused" in refused(a_route(), canary(), seen(), an_action(RESUME))


class TestTooLate:
    @pytest.mark.parametrize("kind", list(ActionType))
    @pytest.mark.parametrize(
        ("changes", "why"), [({"attempt": 2}, "meant for attempt 2"), ({"expires_at": NOW}, "nobody acted on it")]
    )
    def test_an_action_that_came_too_late_does_nothing(
        self, kind: ActionType, changes: dict[str, Any], why: str
    ) -> None:
        decision = asked(a_route(), canary(), seen(), an_action(kind, **changes))
        assert decision.next is None
        assert [done.outcome for done in decision.finished] == [Outcome.EXPIRED]
        assert why in decision.finished[0].message

    def test_an_action_in_time_is_carried_out(self) -> None:
        carried_out(a_route(), canary(), seen(), an_action(ROLLBACK, attempt=3, expires_at=later(1)))


class TestOnce:
    def test_an_action_that_the_head_names_is_accepted_and_not_repeated(self) -> None:
        head = canary(2500, action="a1", paused=True)
        decision = asked(a_route(), head, seen(), an_action(PAUSE))
        assert decision.next is None
        assert [(done.outcome, done.revision) for done in decision.finished] == [(Outcome.ACCEPTED, 7)]

    def test_an_action_that_the_head_names_is_accepted_even_if_it_has_expired(self) -> None:
        decision = asked(a_route(), canary(action="a1"), seen(), an_action(PAUSE, expires_at=NOW))
        assert [done.outcome for done in decision.finished] == [Outcome.ACCEPTED]

    def test_of_several_actions_one_is_carried_out_and_a_rollback_is_first(self) -> None:
        decision = asked(a_route(), canary(), seen(), an_action(PAUSE, "a1"), an_action(ROLLBACK, "a2"))
        assert decision.next is not None
        assert (decision.next.action, decision.finished) == ("a2", ())

    def test_a_new_target_comes_before_the_actions(self) -> None:
        decision = asked(a_route("1.2.0"), canary(), seen(), an_action(ROLLBACK))
        assert decision.next is not None
        assert (decision.next.cause, decision.next.action, decision.finished) == (Cause.RELEASED, None, ())

    def test_a_verified_actor_stays_verified(self) -> None:
        made = carried_out(a_route(), canary(), seen(), an_action(PAUSE, actor_verified=True))
        assert made.actor_verified
