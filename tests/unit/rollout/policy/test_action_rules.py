"""Which actions are carried out, which are refused, and which have expired."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.action import ActionType, Outcome
from fairlead.contracts.revision import Cause, Phase, Revision
from fairlead.contracts.route import TOTAL_WEIGHT, VersionRef
from fairlead.contracts.table import Table
from fairlead.rollout.policy.action_rules import Refusal, apply_action
from fairlead.rollout.policy.situation import Situation
from fairlead.rollout.ports import GatewayState
from unit.rollout.policy.builders import (
    APPROVE,
    NOW,
    PAUSE,
    RETRY,
    ROLLBACK,
    V0,
    V1,
    V2,
    V3,
    a_head,
    a_route,
    an_action,
    asked,
    canary,
    carried_out,
    later,
    preparing,
    promoted,
    refused,
    rejected,
    seen,
)


def share(table: Table, ref: VersionRef) -> int:
    """How many of 10,000 requests a version gets."""
    return (TOTAL_WEIGHT - table.weight) * (ref == table.stable) + table.weight * (ref == table.candidate)


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


class TestTooLate:
    @pytest.mark.parametrize("kind", list(ActionType))
    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"attempt": 2}, "during attempt 2, and attempt 3, of 1.1.0, has begun since"),
            ({"expires_at": NOW}, "nobody acted on it"),
        ],
    )
    def test_an_action_that_came_too_late_does_nothing(
        self, kind: ActionType, changes: dict[str, Any], why: str
    ) -> None:
        decision = asked(a_route(), canary(), seen(), an_action(kind, **changes))
        assert decision.next is None
        assert [done.outcome for done in decision.finished] == [Outcome.EXPIRED]
        assert why in decision.finished[0].message

    def test_an_action_asked_for_between_a_release_and_its_attempt_is_for_that_attempt(self) -> None:
        carried_out(a_route(), canary(), seen(), an_action(ROLLBACK, attempt=2, generation=2))

    @pytest.mark.parametrize(("attempt", "generation"), [(2, 1), (2, 3), (1, 2), (2, None)])
    def test_it_is_not_for_the_attempt_of_another_release(self, attempt: int, generation: int | None) -> None:
        action = an_action(ROLLBACK, attempt=attempt, generation=generation)
        decision = asked(a_route(), canary(), seen(), action)
        assert decision.next is None
        assert [done.outcome for done in decision.finished] == [Outcome.EXPIRED]

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
