"""The gates on what services count of themselves: wrong answers, CPU seconds, and what is predicted."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.contracts.answers import ClassCounts
from fairlead.contracts.gates import MEASURED
from fairlead.contracts.revision import Check, Verdict
from fairlead.contracts.route import GateSpec, Step, Strategy
from fairlead.contracts.window import Counts, Measured, VersionsMeasured, Window
from fairlead.rollout.policy.evidence import active_gates
from unit.rollout.policy.builders import canary, later
from unit.rollout.policy.test_evidence import GOOD, folded, judged

BINS = ("below 1", "1 to 2", "from 2")


def a_strategy(name: str, *, preset: str = "quick", least: int = 20, **settings: Any) -> Strategy:
    gate = GateSpec.model_validate({"name": name, **settings})
    return Strategy.model_validate({"gates": [gate], "min_requests": least, "preset": preset, "min_windows": 1})


def told(candidate: Measured, stable: Measured, **more: Any) -> dict[str, Any]:
    return {**GOOD, "measured": VersionsMeasured(candidate=candidate, stable=stable), **more}


def labelled(wrong: int = 0, n: int = 25, *, stable_wrong: int = 10, stable_n: int = 200) -> dict[str, Any]:
    return told(
        Measured(labels=Counts(n=n, bad=wrong), seconds=5),
        Measured(labels=Counts(n=stable_n, bad=stable_wrong), seconds=5),
    )


def used(cpu_s: float = 0.1, *, rows: int = 100, stable_cpu_s: float = 0.1, idle_cpu_s: float = 0.0) -> dict[str, Any]:
    mine = Measured(rows=rows, cpu_s=cpu_s + idle_cpu_s, idle_cpu_s=idle_cpu_s, seconds=5)
    return told(mine, Measured(rows=100, cpu_s=stable_cpu_s, seconds=5))


def predicted(*mine: int, stable: tuple[int, ...] = (300, 300, 300), other: bool = False) -> dict[str, Any]:
    names = (*BINS[:2], "from 3") if other else BINS
    return told(
        Measured(bins=dict(zip(names, mine, strict=True)), seconds=5, rows=1),
        Measured(bins=dict(zip(BINS, stable, strict=True)), seconds=5, rows=1),
    )


def check(strategy: Strategy, *windows: dict[str, Any], **more: Any) -> Check:
    return judged(strategy, *windows, **more)[strategy.gates[0].name]


class TestQuality:
    def test_a_candidate_that_is_wrong_more_often_fails(self) -> None:
        found = check(a_strategy("quality"), *[labelled(10)] * 12)
        assert found.verdict is Verdict.FAIL
        assert "1.1.0 is wrong more often than 1.0.0: 120 of 300 against 120 of 2,400, evidence" in found.reason
        assert found.numbers["candidate_bad"] == 120

    def test_as_many_wrong_answers_as_stables_pass(self) -> None:
        found = check(a_strategy("quality"), *[labelled(1)] * 12)
        assert found.verdict is Verdict.PASS
        assert "12 of 300 against 120 of 2,400" in found.reason

    def test_a_margin_is_how_much_worse_is_no_harm(self) -> None:
        wide = a_strategy("quality", margin=0.4)
        assert check(wide, *[labelled(10)] * 12).verdict is Verdict.PASS

    def test_until_labels_have_come_it_is_inconclusive(self) -> None:
        found = check(a_strategy("quality"), *[labelled(0, 1, stable_n=30)] * 5)
        assert (found.verdict, found.reason) == (
            Verdict.INCONCLUSIVE,
            "5 labels of 1.1.0 and 150 of 1.0.0: 20 of each are needed",
        )

    def test_labels_of_both_versions_need_not_come_in_the_same_window(self) -> None:
        mine, theirs = labelled(12, 30, stable_n=0, stable_wrong=0), labelled(0, 0)
        found = check(a_strategy("quality"), *[mine, theirs] * 12)
        assert found.verdict is Verdict.FAIL

    def test_no_more_labels_in_a_step_hold_it(self) -> None:
        second: dict[str, Any] = {"head": canary(2500, approved=1, entered_at=later(50)), "at": 100}
        silent = {**labelled(0, 0, stable_n=0, stable_wrong=0), "weight": 2500}
        found = check(a_strategy("quality"), *[labelled(1)] * 10, *[silent] * 10, **second)
        assert (found.verdict, found.reason) == (
            Verdict.INCONCLUSIVE,
            "too few labels came in this step: 0 of 1.1.0",
        )

    @pytest.mark.parametrize(("do", "verdict"), [("promote", Verdict.PASS), ("rollback", Verdict.FAIL)])
    def test_the_strategy_says_what_happens_if_labels_stay_away(self, do: str, verdict: Verdict) -> None:
        strategy = Strategy.model_validate(
            {"gates": [{"name": "quality"}], "min_requests": 20, "on_inconclusive": {"after": 30.0, "do": do}}
        )
        assert check(strategy, *[labelled(0, 0)] * 12).verdict is verdict

    def test_a_service_without_feedback_is_named(self) -> None:
        deaf = told(Measured(missing=("quality",)), Measured(labels=Counts(n=200)))
        found = check(a_strategy("quality", least=0), *[deaf] * 3)
        assert found.verdict is Verdict.INCONCLUSIVE
        assert "1.1.0 counts no labels that gate 'quality' can use: set feedbackBytes of its service" in found.reason

    def test_a_service_that_was_given_feedback_and_started_again_is_judged(self) -> None:
        """Before, one reading without labels held the rollout for good, whatever its owner did."""
        deaf = told(Measured(missing=("quality",), seconds=5), Measured(labels=Counts(n=200), seconds=5))
        assert check(a_strategy("quality"), *[deaf] * 3, *[labelled(1)] * 12).verdict is Verdict.PASS
        assert check(a_strategy("quality"), *[labelled(1)] * 12, deaf).verdict is Verdict.INCONCLUSIVE

    def test_with_preset_strict_it_passes_once_safety_is_shown(self) -> None:
        strategy = a_strategy("quality", preset="strict", margin=0.05)
        assert check(strategy, *[labelled(1)] * 2).verdict is Verdict.INCONCLUSIVE
        assert check(strategy, *[labelled(1)] * 60).verdict is Verdict.PASS


class TestCost:
    def test_a_candidate_with_twice_the_cpu_seconds_fails(self) -> None:
        found = check(a_strategy("cost"), *[used(0.2)] * 20)
        assert found.verdict is Verdict.FAIL
        assert found.reason.startswith(
            "1.1.0 uses more CPU for a row than is allowed beside 1.0.0: 2 CPU seconds for 1,000 rows against 1, "
            "2 times as many (1.3 are allowed), evidence"
        )
        assert found.numbers["candidate_cpu_s_per_1000"] == 2

    @pytest.mark.parametrize("ratio", [0.5, 1.0, 1.29])
    def test_up_to_the_ratio_it_passes(self, ratio: float) -> None:
        assert check(a_strategy("cost"), *[used(0.1 * ratio)] * 200).verdict is Verdict.PASS

    def test_what_a_service_uses_without_rows_does_not_count(self) -> None:
        assert check(a_strategy("cost"), *[used(0.1, idle_cpu_s=0.1)] * 30).verdict is Verdict.PASS

    def test_a_candidate_with_much_less_load_is_compared_in_a_later_step(self) -> None:
        found = check(a_strategy("cost"), *[used(0.05, rows=20)] * 40)
        assert found.verdict is Verdict.PASS
        assert found.reason == (
            "not compared in this step: an instance of 1.1.0 answers 4 rows a second, one of 1.0.0 20; at least 50% "
            "of that is needed"
        )

    def test_in_the_last_step_that_holds(self) -> None:
        strategy = Strategy(gates=(GateSpec(name="cost"),), steps=(Step(weight=500, min_duration=10),))
        found = check(strategy, *[used(0.05, rows=20)] * 40)
        assert (found.verdict, found.reason.partition(":")[0]) == (
            Verdict.INCONCLUSIVE,
            "its cost cannot be compared",
        )

    def test_a_service_that_does_not_know_its_cpu_seconds_is_named(self) -> None:
        unknown = told(Measured(rows=100, seconds=5, missing=("cost",)), Measured(rows=100, seconds=5))
        found = check(a_strategy("cost"), *[unknown] * 3)
        assert found.verdict is Verdict.INCONCLUSIVE
        assert "1.1.0 does not know its CPU seconds" in found.reason

    def test_rows_whose_cpu_seconds_nobody_knew_are_no_evidence_of_a_low_cost(self) -> None:
        """With them, a candidate of five times the cost passed: its first rows seemed to cost nothing."""
        mine, theirs = Measured(rows=100, seconds=5, missing=("cost",)), Measured(rows=100, seconds=5, cpu_s=0.1)
        unknown = [told(mine, theirs), told(mine.plus(Measured(rows=9, cpu_s=0.1)), theirs), told(theirs, mine)] * 10
        alone, after = (check(a_strategy("cost"), *before, *[used(0.5)] * 11) for before in ([], unknown))
        assert (alone.verdict, alone.numbers) == (after.verdict, after.numbers)
        assert after.numbers["candidate_cpu_s_per_1000"] == 5
        assert check(a_strategy("cost"), *unknown, *[used(0.5)] * 20).verdict is Verdict.FAIL


class TestPredictionDrift:
    def test_another_distribution_of_the_number_fails(self) -> None:
        found = check(a_strategy("predictionDrift"), *[predicted(20, 20, 60)] * 30)
        assert found.verdict is Verdict.FAIL
        assert "1.1.0 predicts otherwise than 1.0.0: number 'from 2' is 60.0% of 3,000 answers" in found.reason

    def test_the_same_distribution_passes(self) -> None:
        assert check(a_strategy("predictionDrift"), *[predicted(34, 33, 33)] * 30).verdict is Verdict.PASS

    def test_without_bins_classes_are_compared(self) -> None:
        classes = ClassCounts(candidate={"a": 90, "b": 10}, stable={"a": 100, "b": 100})
        found = check(
            a_strategy("predictionDrift"), *[told(Measured(seconds=5), Measured(seconds=5), classes=classes)] * 12
        )
        assert found.verdict is Verdict.FAIL
        assert "class 'a' is 90.0% of" in found.reason

    def test_other_bins_are_never_compared(self) -> None:
        found = check(a_strategy("predictionDrift"), *[predicted(0, 0, 100, other=True)] * 12)
        assert found.verdict is Verdict.INCONCLUSIVE
        assert "different bins: build the candidate's again with `fairlead profile build --edges-from`" in found.reason

    def test_answers_with_neither_are_named(self) -> None:
        found = check(a_strategy("predictionDrift"), *[told(Measured(seconds=5), Measured(seconds=5))] * 3)
        assert found.verdict is Verdict.INCONCLUSIVE
        assert "answers have no class, and no profile bins their number" in found.reason


@pytest.mark.parametrize("name", sorted(MEASURED))
class TestEach:
    def test_it_is_asked_only_where_a_spec_names_it(self, name: str) -> None:
        assert name not in {gate.name for gate in active_gates(Strategy())}
        assert name in {gate.name for gate in active_gates(a_strategy(name))}

    def test_a_gap_of_the_gateways_is_none_of_its_own(self, name: str) -> None:
        good = {"quality": labelled(10), "cost": used(0.2), "predictionDrift": predicted(20, 20, 60)}[name]
        away = {"gap": "no gateway told its counters", "measured": good["measured"]}
        assert check(a_strategy(name), *[away] * 30).verdict is Verdict.FAIL

    def test_windows_without_readings_change_no_evidence(self, name: str) -> None:
        good = {"quality": labelled(10), "cost": used(0.2), "predictionDrift": predicted(20, 20, 60)}[name]
        windows = folded(a_strategy(name), *[good] * 12, GOOD)
        first, last = (next(one for one in at.evidence if one.gate == name) for at in windows[-2:])
        assert (first.log_harm, first.log_safe) == (last.log_harm, last.log_safe)
        assert first.log_harm > 0

    @pytest.mark.parametrize("least", [0, 20])
    def test_a_newest_window_without_a_reading_holds(self, name: str, least: int) -> None:
        """It might have said that a service counts nothing that the gate can use."""
        good = {"quality": labelled(1), "cost": used(), "predictionDrift": predicted(34, 33, 33)}[name]
        assert check(a_strategy(name, least=least), *[good] * 30).verdict is Verdict.PASS
        found = check(a_strategy(name, least=least), *[good] * 30, GOOD)
        assert (found.verdict, found.reason) == (
            Verdict.INCONCLUSIVE,
            "the services of 1.1.0 told nothing of themselves in the last window",
        )


def test_new_settings_are_unset_in_other_gates() -> None:
    """The digest of a gate's settings leaves out what is unset, so a running attempt keeps its evidence."""
    given = GateSpec(name="errors").to_json()
    assert (given["ratio"], given["maxError"]) == (None, None)


def test_two_windows_add_up_what_was_measured() -> None:
    one, other = (Window.model_validate({"start": later(0), "end": later(5), "weight": 1, **used(x)}) for x in (1, 2))
    bare = other.model_copy(update={"measured": None})
    assert one.merged(other).measured == VersionsMeasured(
        candidate=Measured(rows=200, cpu_s=3, seconds=10), stable=Measured(rows=200, cpu_s=0.2, seconds=10)
    )
    assert one.merged(bare).measured == bare.merged(one).measured == one.measured
