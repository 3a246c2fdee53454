"""Evidence folded over windows, and the verdicts of the evidence gates."""

from __future__ import annotations

from dataclasses import replace
from math import log
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.base import format_e_value
from fairlead.contracts.latency import GRID_MS
from fairlead.contracts.revision import Cause, Check, Phase, Verdict
from fairlead.contracts.route import GateSpec, Strategy
from fairlead.contracts.window import Counts, Histograms, VersionCounts, Window
from fairlead.rollout.policy.decide import decide
from fairlead.rollout.policy.evidence import DEFAULTS, active_gates, is_cold, is_judged, is_timed, threshold, weigh
from fairlead.rollout.policy.evidence_gates import judge_evidence
from fairlead.rollout.policy.situation import Situation
from unit.rollout.policy.builders import NOW, V1, V2, V3, a_route, a_strategy, canary, later, preparing, seen

GOOD = {"candidate": Counts(n=10), "stable": Counts(n=90), "assigned": 10}
BAD = {"candidate": Counts(n=10, bad=5), "stable": Counts(n=90), "assigned": 10, "unserved": 5}
TIMED = Strategy(gates=(GateSpec(name="latency"),))


def folded(strategy: Strategy, *counts: dict[str, Any], start: float = 0) -> tuple[Window, ...]:
    """Consecutive windows of five seconds with their evidence; only the newest keeps its state, as in a store."""
    windows: list[Window] = []
    for at, one in enumerate(counts):
        begin = start + 5 * at
        window = Window(**{"start": later(begin), "end": later(begin + 5), "weight": 500, "ready": 1, **one})
        window = window.model_copy(update={"evidence": weigh(strategy, windows, window)})
        windows = [*(earlier.without_state() for earlier in windows), window]
    return tuple(windows)


def judged(strategy: Strategy, *counts: dict[str, Any], head: Any = None, at: float | None = None) -> dict[str, Check]:
    windows = folded(strategy, *counts)
    situation = Situation(
        a_route(strategy=strategy),
        head or canary(),
        replace(seen(5 * len(counts) if at is None else at), windows=windows),
    )
    return {str(name): check for name, check in judge_evidence(situation).items()}


def harm(windows: tuple[Window, ...], gate: str = "errors") -> float:
    return next(one.log_harm for one in windows[-1].evidence if one.gate == gate)


def gap(reason: str = "no gateway told its counters") -> dict[str, Any]:
    return {"gap": reason}


def slow(share: float, n: int = 1000) -> tuple[int, ...]:
    """A histogram in which this share of the answers took more than 128 ms and all less than half a second."""
    return tuple(n if bound >= 512 else round(n * (1 - share)) if bound >= 64 else 0 for bound in GRID_MS)


class TestFoldingWindows:
    def test_bad_answers_of_the_candidate_add_up(self) -> None:
        strategy = a_strategy()
        assert 0 < harm(folded(strategy, BAD)) < harm(folded(strategy, BAD, BAD))

    @given(st.lists(st.sampled_from([GOOD, BAD]), min_size=1, max_size=8), st.data())
    def test_a_gap_anywhere_changes_nothing(self, counts: list[dict[str, Any]], data: st.DataObject) -> None:
        """Missing scrapes and restarts are no evidence: later windows continue from the state before the gap."""
        at = data.draw(st.integers(0, len(counts)))
        with_gap = folded(a_strategy(), *counts[:at], gap(), *counts[at:])
        assert harm(with_gap) == harm(folded(a_strategy(), *counts))

    def test_another_engine_goes_on_from_the_newest_window_alone(self) -> None:
        strategy = a_strategy()
        whole = folded(strategy, BAD, BAD, GOOD)
        newest = Window.model_validate_json(folded(strategy, BAD, BAD)[-1].model_dump_json(by_alias=True))
        third = Window.model_validate({**whole[-1].model_dump(), "evidence": ()})
        assert weigh(strategy, [newest], third) == whole[-1].evidence

    def test_only_the_newest_window_keeps_the_state(self) -> None:
        *older, newest = folded(a_strategy(), GOOD, BAD, GOOD)
        assert all(not one.state for window in older for one in window.evidence)
        assert [one.gate for one in newest.evidence if one.state] == ["errors", "starved", "rejections", "classes"]

    def test_two_merged_windows_have_the_evidence_of_the_later_one(self) -> None:
        first, second = folded(a_strategy(), GOOD, BAD)
        assert first.merged(second).evidence == second.evidence

    def test_another_margin_resets_the_evidence(self) -> None:
        before = folded(a_strategy(), BAD, BAD)
        wider = a_strategy(gates=(GateSpec(name="errors", margin=0.1),))
        window = Window(start=later(10), end=later(15), weight=500, **BAD)
        assert weigh(wider, before, window)[0].log_harm < before[-1].evidence[0].log_harm

    def test_another_weight_of_the_gate_or_alpha_keeps_the_evidence(self) -> None:
        before = folded(a_strategy(), BAD, BAD)
        dearer = a_strategy(gates=(GateSpec(name="errors", weight=3.0),), alpha=0.001)
        window = Window(start=later(10), end=later(15), weight=500, gap="nothing counted")
        assert weigh(dearer, before, window)[0].log_harm == before[-1].evidence[0].log_harm

    def test_before_the_first_weight_stables_rate_is_learned_and_there_is_no_evidence(self) -> None:
        alone = {"candidate": Counts(), "stable": Counts(n=90, bad=9), "weight": 0}
        windows = folded(a_strategy(), *[alone] * 5)
        assert harm(windows) == 0
        assert harm(folded(a_strategy(), *[alone] * 5, BAD)) < harm(folded(a_strategy(), BAD))


class TestAlpha:
    @given(st.dictionaries(st.sampled_from(("errors", "rejections", "starved", "latency")), st.floats(0.1, 10)))
    def test_the_parts_of_alpha_add_up_to_alpha(self, weights: dict[Any, float]) -> None:
        strategy = Strategy(gates=tuple(GateSpec(name=name, weight=weight) for name, weight in weights.items()))
        parts = [2.718281828459045 ** -threshold(strategy, gate) for gate in active_gates(strategy)]
        assert sum(parts) == pytest.approx(strategy.alpha)

    def test_a_gate_that_is_off_uses_no_alpha(self) -> None:
        off = ("rejections", "starved", "latency", "classes")
        strategy = Strategy(gates=tuple(GateSpec(name=name, role="off") for name in off))
        assert [gate.name for gate in active_gates(strategy)] == ["errors"]
        assert threshold(strategy, DEFAULTS["errors"]) == pytest.approx(-log(strategy.alpha))

    def test_naming_one_gate_does_not_lose_the_others(self) -> None:
        assert [gate.name for gate in active_gates(TIMED)] == ["errors", "starved", "rejections", "latency", "classes"]


class TestErrors:
    def test_enough_evidence_fails_and_says_how_much(self) -> None:
        check = judged(a_strategy(), *[BAD] * 6)["errors"]
        assert check.verdict is Verdict.FAIL
        assert "1.1.0 fails more often than 1.0.0: 30 of 60 against 0 of 540, evidence 10^" in check.reason
        assert check.numbers["log_harm"] >= check.numbers["harm_at"]

    def test_the_reason_names_what_the_candidate_told_most_often_and_never_counts_it(self) -> None:
        told = {"422 body.bmi: Field required": 99, "500 ZeroDivisionError at model.py:7": 3, "500 KeyError": 1}
        windows, alone = folded(a_strategy(), *[BAD] * 6), judged(a_strategy(), *[BAD] * 6)["errors"]
        seen_with = replace(seen(30), windows=windows, problems={V2: told, V1: {"500 OSError": 999}, V3: {}})
        check = judge_evidence(Situation(a_route(strategy=a_strategy()), canary(), seen_with))["errors"]
        assert check.reason == (
            f"{alone.reason}; most often: ZeroDivisionError at model.py:7 (fairlead logs iris --version 1.1.0)"
        )
        assert (check.verdict, check.numbers) == (alone.verdict, alone.numbers)

    @pytest.mark.parametrize("told", [{}, {"other": 7}, {"422 body.bmi: Field required": 7}])
    def test_without_a_fitting_problem_the_reason_is_as_it_was(self, told: dict[str, int]) -> None:
        alone = judged(a_strategy(), *[BAD] * 6)["errors"]
        world = replace(seen(30), windows=folded(a_strategy(), *[BAD] * 6), problems={V2: told})
        assert judge_evidence(Situation(a_route(strategy=a_strategy()), canary(), world))["errors"] == alone

    def test_one_bad_answer_of_six_is_no_reason(self) -> None:
        """With a fixed threshold this would fail: at little traffic, one failure is a rate of 17 %."""
        one = {"candidate": Counts(n=6, bad=1), "stable": Counts(n=54), "assigned": 6, "unserved": 1}
        assert judged(a_strategy(), one)["errors"].verdict is not Verdict.FAIL

    def test_an_incident_that_hits_both_is_no_reason(self) -> None:
        both = {"candidate": Counts(n=10, bad=5), "stable": Counts(n=90, bad=45), "assigned": 10, "unserved": 5}
        assert judged(a_strategy(), *[both] * 60)["errors"].verdict is Verdict.PASS

    def test_before_the_first_weight_there_is_nothing_to_compare(self) -> None:
        assert judged(a_strategy(min_requests=20), GOOD, head=preparing())["errors"].verdict is Verdict.PASS


class TestQuick:
    def test_it_waits_for_its_requests_in_this_step(self) -> None:
        strategy = a_strategy(min_requests=20)
        assert judged(strategy, GOOD)["errors"].reason == "1.1.0 answered 10 of 20 requests in this step"
        assert judged(strategy, GOOD, GOOD)["errors"].verdict is Verdict.PASS

    def test_requests_of_the_step_before_do_not_count(self) -> None:
        head = canary(entered_at=later(10))
        assert (
            judged(a_strategy(min_requests=20), GOOD, GOOD, GOOD, head=head)["errors"].verdict is Verdict.INCONCLUSIVE
        )

    def test_it_says_that_it_proves_nothing(self) -> None:
        assert "no proof of safety" in judged(a_strategy(), GOOD)["errors"].reason

    def test_no_traffic_at_all_holds_for_ever_and_is_no_evidence(self) -> None:
        checks = judged(a_strategy(min_requests=20), *[{}] * 100)
        assert {checks[name].verdict for name in ("errors", "starved", "rejections")} == {Verdict.INCONCLUSIVE}
        assert checks["errors"].numbers["log_harm"] == 0


class TestStrict:
    STRICT = a_strategy(preset="strict", min_requests=20)

    def test_it_waits_for_ten_windows_and_then_for_safety(self) -> None:
        assert "9 of 10 windows" in judged(self.STRICT, *[GOOD] * 9)["errors"].reason
        assert "safety is not shown yet" in judged(self.STRICT, *[GOOD] * 10)["errors"].reason
        assert judged(self.STRICT, *[GOOD] * 60)["errors"].verdict is Verdict.PASS

    def test_a_candidate_worse_than_acceptable_is_never_safe(self) -> None:
        worse = {"candidate": Counts(n=50, bad=1), "stable": Counts(n=450, bad=1), "assigned": 50, "unserved": 1}
        assert judged(self.STRICT, *[worse] * 60)["errors"].verdict is not Verdict.PASS


class TestUndecided:
    @pytest.mark.parametrize(
        ("do", "verdict"),
        [("hold", Verdict.INCONCLUSIVE), ("promote", Verdict.PASS), ("rollback", Verdict.FAIL)],
    )
    def test_after_a_while_it_does_what_the_spec_says(self, do: str, verdict: Verdict) -> None:
        strategy = a_strategy(min_requests=20, on_inconclusive={"after": 60.0, "do": do})
        assert judged(strategy, {}, at=30)["errors"].verdict is Verdict.INCONCLUSIVE
        assert judged(strategy, {}, at=61)["errors"].verdict is verdict


class TestMetricsUnavailable:
    def test_the_weight_stays_and_the_reason_is_reported(self) -> None:
        check = judged(a_strategy(), GOOD, gap())["errors"]
        assert (check.verdict, check.reason) == (
            Verdict.INCONCLUSIVE,
            "the last window is no evidence: no gateway told its counters",
        )

    def test_with_hold_it_stays_for_ever(self) -> None:
        assert judged(a_strategy(), *[gap()] * 240)["errors"].verdict is Verdict.INCONCLUSIVE

    def test_with_rollback_it_goes_back_after_a_while_of_watching(self) -> None:
        strategy = a_strategy(on_metrics_unavailable={"hold": 60.0, "then": "rollback"})
        assert judged(strategy, GOOD, *[gap()] * 12)["errors"].verdict is Verdict.INCONCLUSIVE
        assert judged(strategy, GOOD, *[gap()] * 13)["errors"].verdict is Verdict.FAIL

    def test_a_control_plane_that_was_away_is_no_outage(self) -> None:
        strategy = a_strategy(on_metrics_unavailable={"hold": 60.0, "then": "rollback"})
        away = {**gap("the control plane was not watching"), "end": later(4000), "ready": None}
        assert judged(strategy, away)["errors"].verdict is Verdict.INCONCLUSIVE


class TestRejections:
    def test_a_renamed_field_is_found(self) -> None:
        renamed = {**GOOD, "rejections": VersionCounts(candidate=Counts(n=10, bad=10), stable=Counts(n=90, bad=1))}
        checks = judged(a_strategy(), renamed, renamed, renamed)
        assert checks["rejections"].verdict is Verdict.FAIL
        assert checks["rejections"].reason.startswith(
            "1.1.0 rejects more requests than 1.0.0: 30 of 30 against 3 of 270"
        )
        assert checks["errors"].verdict is Verdict.PASS

    def test_the_reason_names_the_field_that_was_rejected_most_often(self) -> None:
        renamed = {**GOOD, "rejections": VersionCounts(candidate=Counts(n=10, bad=10), stable=Counts(n=90, bad=1))}
        told = {"422 body.bmi: Field required": 9, "422 body.age: Field required": 2, "500 OSError": 99}
        world = replace(seen(15), windows=folded(a_strategy(), *[renamed] * 3), problems={V2: told})
        reason = judge_evidence(Situation(a_route(strategy=a_strategy()), canary(), world))["rejections"].reason
        assert reason.endswith("is enough; 3 of 3 windows say the same; most often: body.bmi: Field required")


class TestStarved:
    EMPTY = {"assigned": 10, "unserved": 10, "stable": Counts(n=90)}

    def test_a_candidate_whose_requests_go_elsewhere_is_rolled_back(self) -> None:
        """Two stretches of half a minute; a healthy one has such a stretch in fifty."""
        assert judged(a_strategy(), *[self.EMPTY] * 11)["starved"].verdict is not Verdict.FAIL
        assert judged(a_strategy(), *[self.EMPTY] * 12)["starved"].verdict is Verdict.FAIL

    def test_a_blip_is_not_starving(self) -> None:
        checks = judged(a_strategy(), *[GOOD] * 10, self.EMPTY, *[GOOD] * 30)
        assert checks["starved"].verdict is Verdict.PASS

    def test_while_requests_go_elsewhere_the_weight_does_not_rise(self) -> None:
        assert judged(a_strategy(), *[GOOD] * 6, self.EMPTY)["starved"].verdict is Verdict.INCONCLUSIVE

    def test_sticky_users_who_were_not_drawn_are_no_harm(self) -> None:
        """No request was assigned: no evidence, and the weight stays."""
        check = judged(a_strategy(min_requests=20), *[{"stable": Counts(n=90)}] * 100)["starved"]
        assert check.verdict is Verdict.INCONCLUSIVE


class TestLatency:
    def test_a_step_without_any_timed_window_does_not_end(self) -> None:
        """What the first step showed does not end the second one if its latency is not reported any more."""
        untimed = {**self.AS_BEFORE, "weight": 2500, "latency": Histograms()}
        second: dict[str, Any] = {"head": canary(2500, approved=1, entered_at=later(50)), "at": 100}
        timed = TIMED.model_copy(update={"min_requests": 20})
        check = judged(timed, *[self.AS_BEFORE] * 10, *[untimed] * 10, **second)["latency"]
        assert (check.verdict, check.reason) == (Verdict.INCONCLUSIVE, "nothing was counted for latency in this step")
        again = {**self.AS_BEFORE, "weight": 2500}
        assert judged(timed, *[self.AS_BEFORE] * 10, *[untimed] * 9, again, **second)["latency"].verdict is Verdict.PASS

    AS_BEFORE = {**GOOD, "latency": Histograms(candidate=slow(0.1), stable=slow(0.1))}
    SLOWER = {**GOOD, "latency": Histograms(candidate=slow(0.9), stable=slow(0.1))}

    def test_a_slower_candidate_is_found_and_an_equal_one_is_not(self) -> None:
        assert judged(TIMED, *[self.SLOWER] * 4)["latency"].verdict is Verdict.FAIL
        assert harm(folded(TIMED, *[self.AS_BEFORE] * 20), "latency") < 0

    @pytest.mark.parametrize("change", [{"unserved": 1}, {"assigned": 12}, {"latency": Histograms()}])
    def test_time_that_is_not_the_candidates_own_is_no_evidence(self, change: dict[str, Any]) -> None:
        window = Window(start=NOW, end=later(5), weight=500, **{**self.SLOWER, **change})
        assert not is_timed(window)
        assert harm(folded(TIMED, {**self.SLOWER, **change}), "latency") == 0

    def test_a_new_instance_is_not_judged_while_it_is_cold(self) -> None:
        two = {**self.SLOWER, "ready": 2}
        assert harm(folded(TIMED, self.AS_BEFORE, *[two] * 6), "latency") == harm(
            folded(TIMED, self.AS_BEFORE), "latency"
        )
        assert harm(folded(TIMED, self.AS_BEFORE, *[two] * 9), "latency") > 0

    def test_stables_rate_is_learned_while_the_candidate_warms_up_and_that_is_no_evidence(self) -> None:
        preparing = {"stable": Counts(n=90), "weight": 0, "latency": Histograms(stable=slow(0.1))}
        windows = folded(TIMED, *[preparing] * 3)
        evidence = next(one for one in windows[-1].evidence if one.gate == "latency")
        assert (evidence.log_harm, is_judged(evidence)) == (0, False)
        assert harm(folded(TIMED, *[preparing] * 3, *[self.SLOWER] * 3), "latency") > 0
        assert harm(folded(TIMED, self.SLOWER), "latency") == 0, "nothing was known of stable"

    def test_without_any_judged_window_the_gate_does_not_pass(self) -> None:
        cold = {**self.AS_BEFORE, "assigned": 12}
        timed = TIMED.model_copy(update={"min_requests": 20})
        check = judged(timed, *[cold] * 10)["latency"]
        assert (check.verdict, "nothing could be judged yet" in check.reason) == (Verdict.INCONCLUSIVE, True)
        assert judged(timed, *[cold] * 10, self.AS_BEFORE)["latency"].verdict is Verdict.PASS

    def test_an_instance_that_leaves_makes_the_others_not_cold(self) -> None:
        windows = folded(TIMED, {**GOOD, "ready": 2}, GOOD, GOOD)
        assert not is_cold(windows[:-1], windows[-1], 30.0)


class TestDecided:
    def test_a_failed_evidence_gate_rolls_back_and_the_revision_carries_the_numbers(self) -> None:
        windows = folded(a_strategy(), *[BAD] * 6)
        back = decide(a_route(), canary(), replace(seen(30), windows=windows), ()).next
        assert back is not None
        assert (back.cause, back.table.weight, back.state.phase) == (Cause.ROLLED_BACK, 0, Phase.STABLE)
        assert back.reason.startswith("1.1.0 was rolled back: errors: 1.1.0 fails more often than 1.0.0")
        assert next(one for one in back.evidence if one.gate == "errors").numbers["candidate_bad"] == 30

    def test_a_signal_only_holds(self) -> None:
        strategy = a_strategy(gates=(GateSpec(name="errors", role="signal"),))
        decision = decide(
            a_route(strategy=strategy), canary(), replace(seen(60), windows=folded(strategy, *[BAD] * 6)), ()
        )
        assert decision.next is None
        assert decision.waiting.startswith("errors: 1.1.0 fails more often")


@pytest.mark.parametrize(
    ("log_e", "told"), [(0.0, "1"), (-1.0, "0.37"), (log(812), "812"), (log(5.0), "5"), (230.0, "10^100")]
)
def test_odds_are_formatted_for_people(log_e: float, told: str) -> None:
    assert format_e_value(log_e) == told
