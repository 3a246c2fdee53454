"""Pauses: what they stop, how they end, and what their answers say."""

from __future__ import annotations

import pytest

from fairlead.contracts.revision import Cause, Phase, Revision
from unit.rollout.policy.builders import (
    NOW,
    PAUSE,
    RESUME,
    ROLLBACK,
    V1,
    V2,
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
    without_ready,
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
