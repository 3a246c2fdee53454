"""When the candidate's weight rises, holds and falls."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fairlead.contracts.action import ActionType
from fairlead.contracts.revision import Cause, Phase, Revision
from fairlead.contracts.route import GateSpec, Timeouts
from fairlead.contracts.window import Counts, Window
from fairlead.rollout.policy.decide import decide
from fairlead.rollout.policy.observation import Observation
from fairlead.rollout.ports import GatewayState
from unit.rollout.policy.builders import (
    NOW,
    PASSED,
    STEPS,
    V1,
    V2,
    V3,
    a_head,
    a_route,
    a_strategy,
    after,
    an_action,
    canary,
    later,
    preparing,
    rejected,
    seen,
    waits,
    without_ready,
)


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

    def test_the_rollout_says_which_quota_keeps_it_from_having_the_capacity(self) -> None:
        quota = "its pods cannot be created: the ResourceQuota team is used up (pods: 4 of 4 is used, ...)"
        world = seen(30, ready={V1: 2, V2: 1}, wanted={V1: 2, V2: 2}, missing={V2: quota})
        said = waits(a_route(), canary(5000, approved=1), world)
        assert said == f"capacity: 100 % needs 2 instances of 1.1.0 ready, there are 1: {quota}"

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
