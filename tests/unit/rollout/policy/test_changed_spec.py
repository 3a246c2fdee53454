"""What a changed spec does to a route and to its rollout."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.action import ActionType, Outcome
from fairlead.contracts.revision import Cause, Phase, Revision
from fairlead.contracts.route import (
    GateSpec,
    MirrorSpec,
    Route,
    ShadowSpec,
    Step,
    Sticky,
    Strategy,
    Timeouts,
    VersionSpec,
    WarmUp,
)
from fairlead.rollout.policy.decide import decide
from fairlead.rollout.policy.settings import settings_of, strategy_in_force
from unit.rollout.policy.builders import (
    FAILED,
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
    carried_out,
    later,
    preparing,
    promoted,
    rejected,
    seen,
    waits,
)

SECONDS = st.one_of(st.integers(0, 10**6), st.integers(1, 10**6).map(lambda number: number / 1000))


@st.composite
def strategies(draw: st.DrawFn) -> Strategy:
    """Strategies that differ from the defaults in some fields."""
    weights = sorted(draw(st.sets(st.integers(1, 10_000), max_size=4)))
    steps = [Step(weight=one, min_duration=draw(SECONDS), approval=draw(st.booleans())) for one in weights]
    names = draw(st.lists(st.sampled_from(("errors", "starved", "rejections", "latency")), unique=True))
    shadow = draw(st.none() | st.builds(ShadowSpec, share=st.integers(1, 10_000), min_duration=SECONDS))
    gates = [GateSpec.model_validate({"name": name}) for name in names]
    return a_strategy(
        **draw(st.fixed_dictionaries({}, optional={"steps": st.just(steps), "gates": st.just(gates)})),
        shadow=shadow,
        min_requests=draw(st.integers(0, 100)),
        alpha=draw(st.floats(0.001, 0.2)),
        rollback_window=draw(SECONDS),
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

    @pytest.mark.parametrize("head", [a_head(), canary()])
    def test_every_generation_is_a_revision_with_its_actor(self, head: Revision) -> None:
        route = a_route(str(head.state.target), generation=9)
        made = after(route, self.began_with(head, a_route()), seen())
        assert (made.cause, made.actor, made.generation) == (Cause.SPEC, "ada", 9)
        assert made.reason == "the spec changed: only how it is written"
        assert (made.table, made.state) == (head.table, head.state)
        settled = decide(route, made.sealed(), seen(acked=8), ())
        assert settled.next is None, "noted twice"

    @pytest.mark.parametrize(
        ("versions", "says"),
        [
            ({"1.3.0": {}}, "version 1.3.0 was added"),
            ({"1.3.0": {}, "1.4.0": {}}, "versions 1.3.0, 1.4.0 were added"),
            ({"1.2.0": None}, "version 1.2.0 was removed"),
            ({"1.2.0": None, "1.3.0": {}}, "version 1.3.0 was added; version 1.2.0 was removed"),
            ({"1.2.0": {"folder": "f" * 64}}, "version 1.2.0 was replaced: another image or folder"),
            ({"1.0.0": {"instances": 3}}, "1.0.0 has 3 instances, had 1"),
            ({"1.0.0": {"minInstances": 0}}, "1.0.0 may be cold"),
        ],
    )
    def test_versions_that_came_went_or_changed_are_named(
        self, versions: dict[str, dict[str, Any] | None], says: str
    ) -> None:
        before, head = a_route("1.0.0"), self.began_with(a_head(), a_route("1.0.0"))
        now = {name: one.to_json() for name, one in before.spec.versions.items()}
        for name, changes in versions.items():
            now[name] = {**now.get(name, {"source": f"/m/{name}"}), **changes} if changes is not None else {}
        changed = {name: VersionSpec.model_validate(one) for name, one in now.items() if one}
        spec = before.spec.model_copy(update={"versions": changed})
        route = before.model_copy(update={"spec": spec, "generation": 9, "reason": "a test"})
        made = after(route, head, seen())
        assert (made.cause, made.reason) == (Cause.SPEC, f"{says} (a test)")
        assert decide(route, made.sealed(), seen(acked=8), ()).next is None, "noted twice"

    def test_a_revision_of_an_earlier_release_does_not_say_which_versions_there_were(self) -> None:
        old = json.loads(settings_of(a_route("1.0.0").spec))
        head = a_head().model_copy(update={"settings": json.dumps({**old, "versions": None})})
        assert after(a_route("1.0.0", generation=9), head.sealed(), seen()).reason == (
            "the spec changed: versions, their instances, or only how it is written"
        )

    def test_a_change_has_its_actor_although_a_guard_fails_at_the_same_tick(self) -> None:
        head = self.began_with(preparing(), a_route())
        route, failed = a_route(generation=9), seen(smoke=FAILED)
        made = after(route, head, failed)
        assert (made.cause, made.actor, made.generation) == (Cause.SPEC, "ada", 9)
        rolled_back = after(route, made.sealed(), replace(failed, gateways=seen(acked=8).gateways))
        assert (rolled_back.cause, rolled_back.actor) == (Cause.ROLLED_BACK, "fairlead")

    def test_a_route_that_was_deleted_and_created_again_is_compared_anew(self) -> None:
        head = self.began_with(a_head(target=V2, rejected=rejected()), a_route())
        again = a_route(strategy=a_strategy(min_requests=50), generation=1).model_copy(update={"created_at": later(60)})
        assert after(again, head, seen(90)).reason.endswith("strategy.minRequests: 0 -> 50")

    def test_defaults_that_are_written_out_change_no_setting(self) -> None:
        head = self.began_with(a_head(), a_route("1.0.0", timeouts=Timeouts()))
        explicit = a_route("1.0.0", timeouts=Timeouts.model_validate(Timeouts().model_dump()), generation=9)
        assert after(explicit, head, seen()).settings == head.settings

    def test_gates_in_another_order_are_the_same_strategy(self) -> None:
        gates = (GateSpec(name="starved"), GateSpec(name="errors", margin=0.1))
        head = self.began_with(canary(), a_route(strategy=a_strategy(gates=gates)))
        other = a_route(strategy=a_strategy(gates=gates[::-1]), generation=1)
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
        waits_for_it = "; the strategy applies to the next release, 1.1.0 keeps its own"
        in_progress = head.state.phase is not Phase.STABLE
        assert made.reason == f"the spec changed: {names}{waits_for_it if in_progress else ''}"
        assert (made.table, made.state) == (head.table, head.state)
        settled = decide(a_route(strategy=a_strategy(**changes), generation=3), made.sealed(), seen(acked=8), ())
        assert settled.next is None or settled.next.cause is not Cause.SPEC, "noted twice"

    def test_the_reason_that_the_user_gave_follows(self) -> None:
        route = a_route(strategy=a_strategy(min_requests=50)).model_copy(update={"reason": "more certainty"})
        made = after(route.model_copy(update={"generation": 3}), self.began_with(a_head(), a_route()), seen())
        assert made.reason == "the spec changed: strategy.minRequests: 0 -> 50 (more certainty)"

    @pytest.mark.parametrize(
        "steps", [(), STEPS[:1], (STEPS[0], STEPS[1].model_copy(update={"approval": False}))], ids=str
    )
    def test_what_waits_for_an_approval_waits_although_the_spec_demands_none_any_more(
        self, steps: tuple[Step, ...]
    ) -> None:
        """Before, an empty list of steps promoted the candidate, and the ledger said that it passed every step."""
        head = self.began_with(canary(2500), a_route())
        weaker = a_route(strategy=a_strategy(steps=steps), generation=3)
        noted = after(weaker, head, seen(90)).sealed()
        assert waits(weaker, noted, seen(90, acked=8)) == (
            "step 2 of 2 waits for an approval; the strategy in the spec was changed and applies to the next release"
        )
        approved = carried_out(weaker, noted, seen(90, acked=8), an_action(ActionType.APPROVE))
        assert after(weaker, approved.sealed(), seen(90, acked=9)).cause is Cause.PROMOTED

    def test_the_changed_strategy_is_in_force_when_the_attempt_is_over(self) -> None:
        head = self.began_with(canary(2500, approved=1), a_route())
        weaker = a_route(strategy=a_strategy(steps=()), generation=3)
        done = after(weaker, after(weaker, head, seen(90)).sealed(), seen(90, acked=8)).sealed()
        assert (done.cause, done.settings) == (Cause.PROMOTED, head.settings), "it passed the steps that it began with"
        now = after(weaker, done, seen(90, acked=9))
        assert (now.cause, now.actor) == (Cause.SPEC, "ada")
        assert now.reason == "the changed strategy is in force now: strategy.steps: 5 %, 25 % with approval -> no steps"

    def test_a_retry_after_a_rollback_takes_the_changed_strategy(self) -> None:
        head = self.began_with(canary(2500), a_route())
        stricter = a_route(strategy=a_strategy(min_requests=50), generation=3)
        noted = after(stricter, head, seen()).sealed()
        back = carried_out(stricter, noted, seen(acked=8), an_action(ActionType.ROLLBACK)).sealed()
        in_force = after(stricter, back, seen(acked=9)).sealed()
        again = carried_out(stricter, in_force, seen(acked=10), an_action(ActionType.RETRY, "a2"))
        assert (again.cause, '"minRequests":50' in again.settings) == (Cause.RELEASED, True)

    @given(strategy=strategies())
    def test_the_ledger_keeps_a_strategy_as_it_was(self, strategy: Strategy) -> None:
        route = a_route(strategy=strategy)
        kept = strategy_in_force(a_route(), self.began_with(canary(), route))
        assert settings_of(a_route(strategy=kept).spec) == settings_of(route.spec)

    @pytest.mark.parametrize("settings", ['{"strategy":{"ofANewerRelease":1}}', ""])
    @pytest.mark.parametrize("head", [a_head(), canary()])
    def test_a_rollout_whose_settings_cannot_be_read_follows_the_spec_and_can_be_rolled_back(
        self, head: Revision, settings: str
    ) -> None:
        head = head.model_copy(update={"settings": settings})
        assert strategy_in_force(a_route(), head) == a_strategy()
        route = a_route(str(head.state.target))
        while (decided := decide(route, head, seen(1, acked=head.seq), ())).next is not None:
            head = decided.next.sealed()
        if head.table.candidate is not None:
            back = carried_out(route, head, seen(1, acked=head.seq), an_action(ActionType.ROLLBACK))
            assert (back.cause, back.table.candidate) == (Cause.ROLLED_BACK, None)

    @pytest.mark.parametrize("verified", [True, False])
    def test_a_revision_says_whether_the_store_vouches_for_who_changed_the_spec(self, verified: bool) -> None:
        route = a_route(generation=9).model_copy(update={"actor_verified": verified})
        assert after(route, canary(), seen()).actor_verified is verified
        assert after(route, None, seen()).actor_verified is verified

    def test_a_release_with_other_steps_is_two_revisions(self) -> None:
        head = self.began_with(a_head(), a_route("1.0.0"))
        route = a_route("1.1.0", strategy=a_strategy(steps=()))
        noted = after(route, head, seen())
        assert (noted.cause, noted.state.target) == (Cause.SPEC, V1)
        assert after(route, noted.sealed(), seen()).cause is Cause.RELEASED
