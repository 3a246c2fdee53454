"""What a changed spec does to a route and to its rollout."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.contracts.action import ActionType, Outcome
from fairlead.contracts.revision import Cause, Phase, Revision
from fairlead.contracts.route import GateSpec, MirrorSpec, Route, Step, Sticky, Timeouts, WarmUp
from fairlead.rollout.policy.decide import decide
from fairlead.rollout.policy.settings import settings_of
from unit.rollout.policy.builders import (
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
    promoted,
    rejected,
    seen,
    waits,
)


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
