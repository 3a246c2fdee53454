"""The shadow phase in decisions: what it mirrors, what it waits for and what ends it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from fairlead.contracts.answers import Pairs, ShadowStatus
from fairlead.contracts.revision import Cause, Check, Phase, Revision, Verdict
from fairlead.contracts.route import MirrorSpec, Route, ShadowSpec, Strategy
from fairlead.contracts.table import Mirror
from fairlead.contracts.window import Window
from fairlead.rollout.policy.decide import decide
from fairlead.rollout.policy.evidence import weigh
from fairlead.rollout.policy.gates import judge
from fairlead.rollout.policy.observation import Observation
from fairlead.rollout.policy.situation import Situation
from fairlead.rollout.policy.wanted import wanted
from unit.rollout.policy.builders import PASSED, V1, V2, a_head, a_route, a_strategy, canary, later, preparing, seen

SHADOW = ShadowSpec(share=5000, min_duration=20.0, min_pairs=100)
ALIKE, UNLIKE = Pairs(n=250), Pairs(n=250, class_changed=100)


def shadowed(**changes: Any) -> Strategy:
    return a_strategy(shadow=SHADOW, **changes)


def shadowing(**changes: Any) -> Revision:
    """1.1.0 gets mirrored requests and has no weight."""
    head = a_head(**{"phase": Phase.SHADOWING, "target": V2, "cause": Cause.STEP, **changes})
    mirrors = (Mirror(version=V2, share=SHADOW.share),)
    return head.model_copy(update={"table": head.table.model_copy(update={"mirrors": mirrors})}).sealed()


def windows(strategy: Strategy, *pairs: Pairs, gap: str | None = None) -> tuple[Window, ...]:
    found: list[Window] = []
    for at, one in enumerate(pairs):
        window = Window(start=later(5 * at), end=later(5 * at + 5), weight=0, ready=1, pairs=one, gap=gap)
        found.append(window.model_copy(update={"evidence": weigh(strategy, found, window)}))
    return tuple(found)


def agreement(strategy: Strategy, head: Revision, *pairs: Pairs, at: float = 30, gap: str | None = None) -> Check:
    seen_then = seen(at, windows=windows(strategy, *pairs, gap=gap))
    judged = judge(Situation(a_route(strategy=strategy), head, seen_then))
    return next(one.check for one in judged if one.check.gate == "agreement")


def next_of(route: Route, head: Revision, observation: Observation) -> Revision:
    decision = decide(route, head, observation, ())
    assert decision.next is not None, decision.waiting
    return decision.next


def test_a_candidate_that_passed_its_smoke_test_gets_mirrored_requests_and_no_weight() -> None:
    made = next_of(a_route(strategy=shadowed()), preparing(), seen(smoke=PASSED))
    assert made.state.phase is Phase.SHADOWING
    assert (made.table.candidate, made.table.weight, made.cause) == (None, 0, Cause.STEP)
    assert made.table.mirrors == (Mirror(version=V2, share=5000),)


def test_without_steps_a_candidate_is_shadowed_before_it_is_promoted() -> None:
    route = a_route(strategy=shadowed(steps=()))
    assert next_of(route, preparing(), seen(smoke=PASSED)).state.phase is Phase.SHADOWING
    told = windows(route.spec.strategy, ALIKE)
    assert next_of(route, shadowing(), seen(30, windows=told)).cause is Cause.PROMOTED


def test_a_version_that_is_mirrored_anyway_gets_one_mirror_with_the_larger_share() -> None:
    route = a_route(strategy=shadowed(), mirrors=(MirrorSpec(version="1.1.0", share=8000),))
    made = next_of(route, preparing(), seen(smoke=PASSED))
    assert made.table.mirrors == (Mirror(version=V2, share=8000),)


def test_a_shadow_lasts_for_its_duration_and_until_there_are_enough_pairs() -> None:
    route = a_route(strategy=shadowed())
    head = next_of(route, preparing(), seen(smoke=PASSED))
    early = decide(route, head, seen(10, acked=8, windows=windows(route.spec.strategy, ALIKE)), ())
    assert (early.next, early.waiting) == (None, "the shadow lasts for 20s")
    few = decide(route, head, seen(30, acked=8, windows=windows(route.spec.strategy, Pairs(n=99))), ())
    assert (few.next, few.waiting) == (None, "agreement: 99 of 100 mirrored requests were answered by both")


def test_a_shadow_waits_while_the_answers_of_an_instance_cannot_be_read() -> None:
    route = a_route(strategy=shadowed())
    told, silent = windows(route.spec.strategy, ALIKE), ShadowStatus(silent=("iris/1.1.0/0",))
    decision = decide(route, shadowing(), seen(30, windows=told, shadow=silent), ())
    assert (decision.next, decision.waiting) == (None, "agreement: the answers of iris/1.1.0/0 cannot be read")


def test_a_shadow_that_agrees_is_followed_by_the_first_weight_without_a_mirror() -> None:
    route = a_route(strategy=shadowed())
    told = windows(route.spec.strategy, ALIKE)
    made = next_of(route, shadowing(), seen(30, windows=told))
    assert (made.state.phase, made.table.weight, made.table.mirrors) == (Phase.CANARY, 500, ())


def test_a_shadow_that_disagrees_is_rolled_back_before_its_time_is_over() -> None:
    route = a_route(strategy=shadowed())
    made = next_of(route, shadowing(), seen(5, windows=windows(route.spec.strategy, UNLIKE)))
    assert (made.cause, made.table.mirrors, made.table.weight) == (Cause.ROLLED_BACK, (), 0)
    assert "in 100 of 250 mirrored requests (100 another class)" in made.reason
    assert made.state.rejected[0].ref == V2


def test_strict_goes_on_when_agreement_is_shown_and_not_before() -> None:
    strict = shadowed(preset="strict")
    unsure = agreement(strict, shadowing(), Pairs(n=250, score_moved=4))
    assert unsure.verdict is Verdict.INCONCLUSIVE
    assert "agreement is not shown yet" in unsure.reason
    assert agreement(strict, shadowing(), ALIKE).verdict is Verdict.PASS


def test_pairs_count_although_gateways_could_not_be_read() -> None:
    gap = "no gateway told its counters"
    assert agreement(shadowed(), shadowing(), UNLIKE, gap=gap).verdict is Verdict.FAIL


def test_no_pairs_are_no_evidence_however_long() -> None:
    check = agreement(shadowed(), shadowing(), *[Pairs()] * 50, at=250)
    assert (check.verdict, check.numbers["log_harm"], check.numbers["log_safe"]) == (Verdict.INCONCLUSIVE, 0, 0)


@pytest.mark.parametrize(("do", "verdict"), [("promote", Verdict.PASS), ("rollback", Verdict.FAIL)])
def test_a_shadow_that_stays_undecided_ends_as_the_spec_says(do: str, verdict: Verdict) -> None:
    strategy = shadowed(on_inconclusive={"after": 60.0, "do": do})
    assert agreement(strategy, shadowing(), Pairs(n=3), at=61).verdict is verdict


def test_before_and_after_the_shadow_the_gate_passes() -> None:
    assert agreement(shadowed(), preparing()).verdict is Verdict.PASS
    assert agreement(shadowed(), canary(), Pairs(n=3)).verdict is Verdict.PASS


def test_a_restart_of_a_shadowed_candidate_is_not_a_failure_at_once() -> None:
    route = a_route(strategy=shadowed())
    away = seen(1000, ready={V1: 1}, windows=windows(route.spec.strategy, ALIKE))
    assert decide(route, shadowing(), away, ()).next is None


def test_a_shadow_taken_out_of_the_spec_lasts_as_the_release_began() -> None:
    route = a_route(strategy=a_strategy())
    head = next_of(a_route(strategy=shadowed()), preparing(), seen(smoke=PASSED))
    assert decide(route, head, seen(1, acked=8), ()).waiting.startswith("the shadow lasts for 20s; the strategy in the")


def test_mirrored_requests_need_as_many_instances_as_users_requests() -> None:
    route = a_route(strategy=shadowed())
    crowd = seen(smoke=PASSED, ready={V1: 4, V2: 1})
    assert "capacity: 50 % needs 2 instances" in decide(route, preparing(), crowd, ()).waiting
    counts = {one.ref: one.instances for one in wanted(route, preparing(), seen())}
    assert counts[V2] == 1


def test_alpha_is_shared_with_the_shadow_only_where_there_is_one() -> None:
    assert [one.check.gate for one in judge(Situation(a_route(), canary(), seen()))].count("agreement") == 0
    with_it = judge(Situation(a_route(strategy=shadowed()), canary(), seen()))
    assert next(one.role for one in with_it if one.check.gate == "agreement") == "guard"


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"shadow": {"minPairs": 0}}, ("shadow", "minPairs")),
        ({"shadow": {"share": 0}}, ("shadow", "share")),
        ({"shadow": {"minDuration": "soon"}}, ("shadow", "minDuration")),
        ({"gates": [{"name": "agreement"}]}, ("gates",)),
        ({"shadow": {}, "gates": [{"name": "agreement", "maxDisagreement": 0.5}]}, ("gates", 0, "maxDisagreement")),
    ],
)
def test_an_invalid_shadow_is_rejected_with_its_path(changes: dict[str, Any], where: tuple[object, ...]) -> None:
    with pytest.raises(ValidationError) as refused:
        Strategy.model_validate(changes)
    assert refused.value.errors()[0]["loc"] == where


def test_other_settings_of_the_gate_reset_its_evidence() -> None:
    loose = shadowed()
    before = windows(loose, UNLIKE)
    tight = shadowed(gates=({"name": "agreement", "max_disagreement": 0.45},))
    window = replace_pairs(before[-1])
    again = next(one for one in weigh(tight, before, window) if one.gate == "agreement")
    assert again.log_harm == 0.0


def replace_pairs(window: Window) -> Window:
    return window.model_copy(update={"pairs": Pairs(), "evidence": ()})
