"""Which actions are carried out, which are refused, and which have expired."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.action import Action, ActionType, Outcome
from fairlead.contracts.revision import Cause, Phase, Revision
from fairlead.contracts.route import TOTAL_WEIGHT, Route, VersionRef, VersionSpec
from fairlead.contracts.table import Table
from fairlead.rollout.policy.action_rules import Refusal, apply_action
from fairlead.rollout.policy.decide import decide
from fairlead.rollout.policy.observation import Decision, Observation
from fairlead.rollout.policy.situation import Situation
from fairlead.rollout.policy.transitions import MAX_REJECTED
from fairlead.rollout.ports import GatewayState
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
    without_ready,
)

ROLLBACK, RETRY, APPROVE, PAUSE, RESUME, PROMOTE = ActionType


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


def share(table: Table, ref: VersionRef) -> int:
    """How many of 10,000 requests a version gets."""
    return (TOTAL_WEIGHT - table.weight) * (ref == table.stable) + table.weight * (ref == table.candidate)


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
        assert why.startswith("1.1.0 was rolled back in revision iris.5, and 1.0.0 is stable; to go further back")

    def test_a_stable_version_that_is_down_is_not_said_to_serve(self) -> None:
        why = refused(a_route(), a_head(target=V2, rejected=rejected()), seen(ready={}), an_action(ROLLBACK))
        assert "iris.5, and 1.0.0 is stable, without a ready instance; to go" in why

    def test_after_a_rollback_to_the_target_itself_there_is_no_promotion_to_undo(self) -> None:
        head = a_head(stable=V2, cause=Cause.ROLLED_BACK)
        why = refused(a_route(), head, seen(), an_action(ROLLBACK))
        assert why.startswith(
            "there is no promotion to undo: 1.1.0 is stable since the rollback in revision iris.7; to change to another"
        )

    def test_a_version_without_a_ready_instance_is_not_gone_back_to(self) -> None:
        why = refused(a_route(), promoted(), seen(ready={V2: 1}), an_action(ROLLBACK))
        assert why == (
            "1.0.0 has no ready instance, going back to it would be an outage; `fairlead logs iris --version 1.0.0` "
            "says why it is not ready; try again when it is, or add --even-if-down"
        )

    def test_a_version_without_a_ready_instance_is_gone_back_to_when_the_user_insists(self) -> None:
        action = an_action(ROLLBACK, reason="1.1.0 leaks data", even_if_down=True)
        back = carried_out(a_route(), promoted(), seen(ready={V2: 1}), action)
        assert back.table.stable == V1
        assert back.reason == "1.1.0 leaks data; although 1.0.0 had no ready instance"

    def test_a_version_that_nothing_could_start_is_not_gone_back_to_even_then(self) -> None:
        action = an_action(ROLLBACK, even_if_down=True)
        why = refused(a_route(versions=("1.1.0",)), promoted(pins=(V2,)), seen(ready={V2: 1}), action)
        assert "put it back into `versions`" in why

    def test_a_version_that_left_the_spec_is_gone_back_to_while_it_still_runs(self) -> None:
        route = a_route("1.1.0", versions=("1.1.0",))
        assert carried_out(route, promoted(pins=(V2,)), seen(), an_action(ROLLBACK)).table.stable == V1

    def test_the_refusal_for_a_version_that_left_and_stopped_says_what_to_do(self) -> None:
        why = refused(a_route(versions=("1.1.0",)), promoted(pins=(V2,)), seen(ready={V2: 1}), an_action(ROLLBACK))
        assert "put it back into `versions`" in why

    def test_with_nothing_before_there_is_nothing_to_go_back_to(self) -> None:
        assert "there is no promotion to undo: 1.0.0 is stable; to" in refused(
            a_route("1.0.0"), a_head(), seen(), an_action(ROLLBACK)
        )

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
        assert (back.table.stable, [one.ref for one in back.state.rejected]) == (V2, [V1])

    def test_the_version_gone_back_from_is_rejected_and_an_older_rejection_of_the_target_stays(self) -> None:
        before = rejected(V3, revision=5, reason="errors: 5 of 7 against 0 of 69")
        route, head = a_route("1.2.0"), a_head(stable=V2, target=V3, rejected=before)
        asked_for = an_action(ROLLBACK, to_revision=4, reason="also 1.1.0 is odd")
        back = carried_out(route, head, seen(named={4: a_head(stable=V1, seq=4)}), asked_for)
        assert [(one.ref, one.revision, one.reason) for one in back.state.rejected] == [
            (V3, 5, "errors: 5 of 7 against 0 of 69"),
            (V2, back.seq, "also 1.1.0 is odd"),
        ]

    @pytest.mark.parametrize("target", ["1.1.0", "1.2.0"])
    def test_nothing_that_was_rejected_is_released_again_after_going_back(self, target: str) -> None:
        head = a_head(stable=V2, target=V3, rejected=rejected(V3))
        named = {4: a_head(stable=V1, seq=4)}
        back = carried_out(a_route("1.2.0"), head, seen(named=named), an_action(ROLLBACK, to_revision=4)).sealed()
        decision = asked(a_route(target), back, seen(9999, acked=back.seq))
        assert decision.next is None or decision.next.state.phase is Phase.STABLE

    def test_the_targets_own_rejection_is_never_the_one_that_is_dropped(self) -> None:
        others = [VersionSpec(source=f"/m/{n}").ref(f"9.{n}.0") for n in range(MAX_REJECTED - 1)]
        before = rejected(V3) + tuple(one for ref in others for one in rejected(ref))
        head, named = a_head(stable=V2, target=V3, rejected=before), {4: a_head(stable=V1, seq=4)}
        back = carried_out(a_route("1.2.0"), head, seen(named=named), an_action(ROLLBACK, to_revision=4))
        assert len(back.state.rejected) == MAX_REJECTED
        assert {V2, V3} <= {one.ref for one in back.state.rejected}

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


class TestNobodyIsMovedOntoWhatDoesNotAnswer:
    def test_a_rollback_while_stable_is_down_and_the_candidate_answers_is_refused_with_both_ways_out(self) -> None:
        why = refused(a_route(), canary(), seen(ready={V2: 1}), an_action(ROLLBACK))
        assert why == (
            "it would move the 5 % of users that 1.1.0 serves to 1.0.0, which has no ready instance. To serve everyone "
            "with 1.1.0: `fairlead promote iris`; to go back all the same: `fairlead rollback iris --even-if-down`"
        )

    def test_the_user_may_insist_and_the_ledger_says_so(self) -> None:
        action = an_action(ROLLBACK, reason="wrong prices", even_if_down=True)
        decision = asked(a_route(), canary(), seen(ready={V2: 1}), action)
        assert decision.next is not None
        assert (decision.next.table.stable, decision.next.table.weight) == (V1, 0)
        assert decision.next.reason == "wrong prices; although 1.0.0 had no ready instance"
        assert decision.answer == "wrong prices. 1.0.0 has no ready instance: users get errors until it has"

    def test_the_refusal_names_the_revision_that_was_asked_for(self) -> None:
        named = {4: a_head(stable=V1, seq=4)}
        why = refused(a_route(), canary(), seen(ready={V2: 1}, named=named), an_action(ROLLBACK, to_revision=4))
        assert "`fairlead rollback iris --to iris.4 --even-if-down`" in why

    def test_before_its_first_weight_a_candidate_serves_nobody_and_may_be_rolled_back(self) -> None:
        assert carried_out(a_route(), preparing(), seen(ready={V2: 1}), an_action(ROLLBACK)).table.stable == V1

    def test_a_retry_that_would_end_a_rollout_that_alone_answers_is_refused(self) -> None:
        situation = Situation(a_route("1.2.0"), canary(rejected=rejected(V3)), seen(ready={V2: 1}))
        result = apply_action(situation, an_action(RETRY))
        assert isinstance(result, Refusal)
        assert "First decide about 1.1.0: `fairlead promote iris` or `fairlead rollback iris --even-if-down`" in (
            result.message
        )

    @given(
        kind=st.sampled_from(ActionType),
        target=st.sampled_from(("1.0.0", "1.1.0", "1.2.0")),
        head=st.sampled_from(
            (
                preparing(),
                canary(),
                canary(2500, paused=True),
                canary(rejected=rejected(V3)),
                promoted(),
                a_head(target=V2, rejected=rejected()),
            )
        ),
        ready=st.dictionaries(st.sampled_from((V0, V1, V2, V3)), st.integers(0, 3)),
        to=st.none() | st.sampled_from((3, 4, 5, 6)),
    )
    def test_no_action_without_an_override_moves_users_from_what_answers_to_what_does_not(
        self, kind: ActionType, target: str, head: Revision, ready: dict[VersionRef, int], to: int | None
    ) -> None:
        named = {seq: a_head(stable=ref, seq=seq) for seq, ref in ((3, V0), (4, V1), (5, V2), (6, V3))}
        action = an_action(kind, to_revision=to if kind is ROLLBACK else None)
        decision = asked(a_route(target), head, seen(30, ready=ready, named=named), action)
        if decision.next is not None:
            worse = [ref for ref in ready if share(decision.next.table, ref) < share(head.table, ref) and ready[ref]]
            onto = [ref for ref in (V0, V1, V2, V3) if share(decision.next.table, ref) > share(head.table, ref)]
            assert not worse or all(ready.get(ref) for ref in onto)


class TestPromote:
    def test_while_stable_is_down_the_candidate_is_stable_at_once_and_the_gates_are_skipped(self) -> None:
        action = an_action(PROMOTE, attempt=3, reason="1.0.0 crashes", actor_verified=True)
        done = carried_out(a_route(), canary(), seen(1, ready={V2: 1}, acked=6), action)
        assert (done.cause, done.table.stable, done.table.candidate, done.table.weight) == (Cause.PROMOTED, V2, None, 0)
        assert (done.state.phase, done.state.previous, done.actor_verified) == (Phase.STABLE, V1, True)
        assert done.reason == "1.0.0 crashes; the gates were skipped (not passed: acknowledged)"
        assert {check.gate for check in done.evidence} >= {"ready", "smoke", "acknowledged", "capacity", "errors"}

    def test_a_skipped_approval_is_named(self) -> None:
        done = carried_out(a_route(), canary(2500), seen(1, ready={V2: 1}), an_action(PROMOTE))
        assert done.reason == "promoted by hand; the gates were skipped (not passed: the approval of step 2)"

    def test_before_the_first_weight_it_works_too(self) -> None:
        assert carried_out(a_route(), preparing(), seen(ready={V2: 1}), an_action(PROMOTE)).table.stable == V2

    def test_while_stable_serves_the_gates_decide(self) -> None:
        why = refused(a_route(), canary(), seen(), an_action(PROMOTE))
        assert "1.0.0 serves, so the gates decide" in why
        assert "--even-if-stable-serves" in why

    def test_even_if_stable_serves(self) -> None:
        done = carried_out(a_route(), canary(), seen(1), an_action(PROMOTE, even_if_stable_serves=True))
        assert (done.table.stable, done.cause) == (V2, Cause.PROMOTED)
        assert done.reason.startswith("promoted by hand; the gates were skipped")

    def test_a_candidate_that_does_not_answer_is_not_promoted(self) -> None:
        why = refused(a_route(), canary(), seen(ready={V1: 1}), an_action(PROMOTE, even_if_stable_serves=True))
        assert "1.1.0 has no ready instance" in why
        assert "`fairlead logs iris --version 1.1.0` says why" in why
        assert "--even-if-down" in why
        assert "`fairlead rollback iris`" in why

    def test_each_danger_has_its_own_option(self) -> None:
        why = refused(a_route(), canary(), seen(ready={V1: 1}), an_action(PROMOTE, even_if_down=True))
        assert "--even-if-stable-serves" in why
        both = an_action(PROMOTE, even_if_down=True, even_if_stable_serves=True)
        done = carried_out(a_route(), canary(), seen(ready={V1: 1}), both)
        assert done.reason.endswith("although 1.1.0 had no ready instance")

    def test_without_a_rollout_there_is_nothing_to_promote(self) -> None:
        assert "no candidate to promote; 1.1.0 is stable" in refused(a_route(), promoted(), seen(), an_action(PROMOTE))
        head = a_head(target=V2, rejected=rejected())
        assert "(smoke: wrong answers). When the cause is fixed: `fairlead retry iris`" in refused(
            a_route(), head, seen(), an_action(PROMOTE)
        )

    def test_a_paused_route_stays_paused_and_the_answer_says_so(self) -> None:
        decision = asked(a_route(), canary(paused=True), seen(ready={V2: 1}), an_action(PROMOTE))
        assert decision.next is not None
        assert decision.next.state.paused
        assert "The route is still paused: `fairlead resume iris`" in decision.answer

    def test_the_promoted_version_stays_and_a_rollback_goes_back_once_stable_answers(self) -> None:
        done = carried_out(a_route(), canary(), seen(ready={V2: 1}), an_action(PROMOTE)).sealed()
        assert asked(a_route(), done, seen(60, acked=8, ready={V2: 1})).next is None
        back = carried_out(a_route(), done, seen(60, acked=8), an_action(ROLLBACK, "a2"))
        assert back.table.stable == V1


class TestAnswers:
    def test_that_no_gateway_answers_is_said(self) -> None:
        away = (GatewayState("edge", reachable=False),)
        decision = asked(a_route(), canary(), seen(gateways=away), an_action(ROLLBACK, reason="slow"))
        assert decision.answer == "slow. No gateway answers, so no gateway has it yet"

    def test_the_gateways_that_do_not_answer_are_named(self) -> None:
        two = (GatewayState("e1", reachable=True, programmed={"iris": 7}), GatewayState("e2", reachable=False))
        decision = asked(a_route(), canary(), seen(gateways=two), an_action(ROLLBACK))
        assert decision.answer == "back to 1.0.0. e2 of 2 gateways: no answer, so not there yet"

    def test_when_everything_answers_the_reason_is_the_answer(self) -> None:
        assert asked(a_route(), canary(), seen(), an_action(ROLLBACK, reason="slow")).answer == "slow"

    def test_after_a_crash_the_answer_is_the_same(self) -> None:
        away = seen(gateways=(GatewayState("edge", reachable=False),))
        first = asked(a_route(), canary(), away, an_action(ROLLBACK))
        assert first.next is not None
        (done,) = asked(a_route(), first.next.sealed(), away, an_action(ROLLBACK)).finished
        assert done.message == first.answer


class TestRetry:
    def test_a_rejected_version_gets_a_new_attempt(self) -> None:
        again = carried_out(a_route(), a_head(target=V2, rejected=rejected()), seen(), an_action(RETRY))
        assert (again.cause, again.state.phase, again.state.attempt) == (Cause.RELEASED, Phase.PREPARING, 4)
        assert (again.state.rejected, again.table.weight) == ((), 0)
        assert again.reason == "another attempt of 1.1.0"

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

    def test_the_answer_says_that_the_guards_are_off(self) -> None:
        answer = asked(a_route(), canary(), seen(), an_action(PAUSE, reason="looks odd")).answer
        assert answer.startswith(
            "looks odd. Until `fairlead resume iris` the weight stays at 5 % and the guards are off"
        )
        assert "`fairlead rollback iris` works meanwhile" in answer

    def test_the_answer_is_true_while_paused_no_guard_rolls_back_and_afterwards_it_does(self) -> None:
        paused = carried_out(a_route(), canary(), seen(), an_action(PAUSE)).sealed()
        dead = without_ready(120)
        during = asked(a_route(), paused, seen(120, ready={V1: 1}, windows=dead, acked=8))
        assert (during.next, during.waiting) == (None, "paused; `fairlead resume` lets it go on")
        resumed = carried_out(a_route(), paused, seen(120, ready={V1: 1}, windows=dead), an_action(RESUME, "a2"))
        after = asked(a_route(), resumed.sealed(), seen(120, ready={V1: 1}, windows=dead, acked=9))
        assert after.next is not None
        assert after.next.cause is Cause.ROLLED_BACK

    def test_without_a_rollout_the_answer_speaks_of_the_next_release(self) -> None:
        answer = asked(a_route(), promoted(), seen(), an_action(PAUSE)).answer
        assert answer == "paused. Until `fairlead resume iris`, a release waits before its first weight"

    def test_a_pause_for_a_time_says_until_when(self) -> None:
        decision = asked(a_route(), canary(), seen(), an_action(PAUSE, pause_for=1800.0))
        assert decision.next is not None
        state = decision.next.state
        assert (state.paused, state.paused_until, state.paused_for) == (True, later(1800), 1800.0)
        assert decision.answer.startswith("paused for 30m. Until 2026-01-01 12:30:00 UTC the weight stays at 5 %")
        waiting = asked(a_route(), decision.next.sealed(), seen(acked=8, pause_left_s=1.0)).waiting
        assert waiting == "paused until 2026-01-01 12:30:00 UTC; `fairlead resume` lets it go on now"

    def test_when_its_time_is_over_fairlead_resumes(self) -> None:
        head = canary(paused=True, paused_until=later(1800), paused_for=1800.0)
        resumed = asked(a_route(), head, seen(1800, pause_left_s=0.0)).next
        assert resumed is not None
        assert (resumed.actor, resumed.reason, resumed.cause) == ("fairlead", "the pause of 30m is over", Cause.ACTION)
        assert (resumed.state.paused, resumed.state.paused_until, resumed.state.paused_for) == (False, None, None)
        assert (resumed.table.weight, resumed.state.phase) == (500, Phase.CANARY)

    def test_a_route_without_a_rollout_resumes_too(self) -> None:
        head = promoted(paused=True, paused_until=later(60), paused_for=60.0)
        assert "paused until" in asked(a_route(), head, seen(1, pause_left_s=59.0)).waiting
        resumed = asked(a_route(), head, seen(60, pause_left_s=0.0)).next
        assert resumed is not None
        assert not resumed.state.paused

    def test_a_deadline_does_not_pass_during_a_pause_that_ends_by_itself(self) -> None:
        head = preparing(paused=True, paused_until=later(9000), paused_for=9000.0)
        resumed = asked(a_route(), head, seen(9000, ready={V1: 1}, pause_left_s=0.0)).next
        assert resumed is not None
        assert asked(a_route(), resumed.sealed(), seen(9000, ready={V1: 1})).next is None

    def test_a_pause_may_be_lengthened_shortened_and_made_endless(self) -> None:
        head = canary(paused=True, paused_until=later(60), paused_for=60.0)
        longer = carried_out(a_route(), head, seen(30, pause_left_s=30.0), an_action(PAUSE, pause_for=600.0))
        assert longer.state.paused_until == later(630)
        endless = carried_out(a_route(), head, seen(30, pause_left_s=30.0), an_action(PAUSE))
        assert (endless.state.paused, endless.state.paused_until) == (True, None)

    @pytest.mark.parametrize("lasts", [0.0, 0.9, 8 * 86400.0])
    def test_a_silly_length_is_refused_with_the_limits(self, lasts: float) -> None:
        assert "lasts 1s to 7d" in refused(a_route(), canary(), seen(), an_action(PAUSE, pause_for=lasts))

    def test_a_rollback_during_a_pause_for_a_time_works_and_the_pause_goes_on(self) -> None:
        head = canary(paused=True, paused_until=later(60), paused_for=60.0)
        back = carried_out(a_route(), head, seen(30, pause_left_s=30.0), an_action(ROLLBACK))
        assert (back.state.paused, back.state.paused_until, back.table.weight) == (True, later(60), 0)

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
