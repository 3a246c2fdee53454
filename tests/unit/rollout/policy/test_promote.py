"""Promotions by people: the candidate becomes stable, and no gate is asked."""

from __future__ import annotations

from fairlead.contracts.revision import Cause, Phase
from unit.rollout.policy.builders import (
    PROMOTE,
    ROLLBACK,
    V1,
    V2,
    a_head,
    a_route,
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
