"""Rollbacks by people: what is gone back to, and what is refused."""

from __future__ import annotations

import pytest

from fairlead.contracts.revision import Cause, Phase, Revision
from fairlead.contracts.route import VersionSpec
from fairlead.contracts.status import Reason
from fairlead.rollout.policy.observation import Observation
from fairlead.rollout.policy.situation import Situation
from fairlead.rollout.policy.transitions import MAX_REJECTED
from fairlead.rollout.report import target_condition
from unit.rollout.policy.builders import (
    FAILED,
    NOW,
    PASSED,
    ROLLBACK,
    V0,
    V1,
    V2,
    V3,
    a_head,
    a_route,
    after,
    an_action,
    asked,
    canary,
    carried_out,
    preparing,
    promoted,
    refused,
    rejected,
    seen,
)


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

    @pytest.mark.parametrize(
        ("back", "by", "reason"),
        [
            (carried_out(a_route(), canary(), seen(), an_action(ROLLBACK)), "bob", Reason.ROLLED_BACK),
            (after(a_route(), preparing(), seen(smoke=FAILED)), "", Reason.REJECTED),
        ],
        ids=["a person", "a gate"],
    )
    def test_the_status_tells_what_a_person_rolled_back_from_what_a_gate_did(
        self, back: Revision, by: str, reason: Reason
    ) -> None:
        (one,) = back.state.rejected
        condition = target_condition(Situation(a_route(), back, seen()))
        assert (one.by, condition.status, condition.reason) == (by, False, reason)

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

    def test_a_version_that_is_scaled_to_0_is_started_by_a_release(self) -> None:
        why = refused(a_route(), promoted(), seen(ready={V2: 1}, wanted={V1: 0, V2: 1}), an_action(ROLLBACK))
        assert "it is scaled to 0, and `fairlead release iris 1.0.0` starts it again" in why

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
