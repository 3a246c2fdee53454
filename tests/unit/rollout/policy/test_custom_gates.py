"""Custom gates: compared with stable or with a limit, as guards or signals, with a part of alpha."""

from __future__ import annotations

from math import log
from typing import Any

import pytest

from fairlead.contracts.base import canonical, digest
from fairlead.contracts.revision import Verdict
from fairlead.contracts.route import GateSpec, Strategy
from fairlead.contracts.window import Counts, CustomGateCounts, GateEvidence, VersionCounts, Window
from fairlead.rollout.policy.evidence import DEFAULTS, METHOD, active_gates, threshold
from fairlead.rollout.policy.gates import judge
from fairlead.rollout.policy.situation import Situation
from unit.rollout.policy.builders import a_route, canary, later, seen
from unit.rollout.policy.test_evidence import GOOD, folded, judged

QUERY = 'lost_total{version="$version"}'
NAME = "custom-lost"


def a_gate(**more: Any) -> GateSpec:
    return GateSpec.model_validate({"name": NAME, "promql": {"bad": QUERY, "total": QUERY}, **more})


def a_strategy(*gates: GateSpec, **more: Any) -> Strategy:
    return Strategy(gates=gates or (a_gate(),), min_requests=0, **more)


def told(bad: int = 0, n: int = 10, stable_bad: int = 0, *, gap: str | None = None) -> dict[str, Any]:
    arms = (
        VersionCounts(candidate=Counts(n=n, bad=bad), stable=Counts(n=90, bad=stable_bad))
        if gap is None
        else VersionCounts()
    )
    return {**GOOD, "custom": {NAME: CustomGateCounts(arms=arms, until=later(1000), gap=gap)}}


def test_a_candidate_with_more_bad_events_than_stable_fails() -> None:
    check = judged(a_strategy(), *[told(bad=5)] * 4)[NAME]
    assert check.verdict is Verdict.FAIL
    assert "1.1.0 has more of custom-lost bad than 1.0.0: 20 of 40 against 0 of 360, evidence" in check.reason


def test_bad_events_of_both_versions_are_no_reason() -> None:
    assert judged(a_strategy(), *[told(bad=5, stable_bad=45)] * 6)[NAME].verdict is Verdict.PASS


def test_a_limit_applies_to_the_candidate_whatever_stable_does() -> None:
    strategy = a_strategy(a_gate(limit=0.1))
    check = judged(strategy, *[told(bad=5, stable_bad=45)] * 6)[NAME]
    assert check.verdict is Verdict.FAIL
    assert "1.1.0 has more than 0.1 of custom-lost bad: 30 of 60, evidence" in check.reason
    assert judged(strategy, *[told()] * 6)[NAME].verdict is Verdict.PASS


def test_at_its_limit_a_candidate_is_not_rolled_back() -> None:
    assert judged(a_strategy(a_gate(limit=0.5)), *[told(bad=5)] * 50)[NAME].verdict is not Verdict.FAIL


def test_a_gates_weight_is_its_part_of_alpha() -> None:
    strategy = a_strategy(a_gate(weight=3))
    assert [gate.name for gate in active_gates(strategy)] == [
        "errors",
        "starved",
        "rejections",
        "latency",
        "classes",
        NAME,
    ]
    assert threshold(strategy, strategy.gates[0]) == pytest.approx(-log(0.01 * 3 / 7))


def test_a_signal_holds_and_one_that_is_off_is_not_asked() -> None:
    windows = folded(a_strategy(a_gate(role="signal")), *[told(bad=5)] * 4)
    situation = Situation(a_route(strategy=a_strategy(a_gate(role="signal"))), canary(), seen(20, windows=windows))
    assert [(one.check.verdict, one.role) for one in judge(situation) if one.check.gate == NAME] == [
        (Verdict.FAIL, "signal")
    ]
    assert NAME not in judged(a_strategy(a_gate(role="off")), *[told(bad=5)] * 4)


def test_a_gap_of_its_own_holds_this_gate_and_no_other() -> None:
    checks = judged(a_strategy(), told(), told(), told(gap="Prometheus does not answer: refused"))
    assert checks[NAME].verdict is Verdict.INCONCLUSIVE
    assert "Prometheus does not answer" in checks[NAME].reason
    assert checks["errors"].verdict is Verdict.PASS


def test_a_gap_of_the_gateways_is_no_gap_of_a_custom_gate() -> None:
    away = {"gap": "no gateway told its counters", "custom": told(bad=5)["custom"]}
    check = judged(a_strategy(), *[away] * 4)[NAME]
    assert check.verdict is Verdict.FAIL


def test_windows_that_could_not_be_counted_change_no_evidence() -> None:
    windows = folded(a_strategy(), told(bad=1), told(gap="away"), GOOD)
    said = [next(one for one in window.evidence if one.gate == NAME) for window in windows]
    assert {(one.log_harm, one.log_safe) for one in said} == {(said[0].log_harm, said[0].log_safe)}


def test_a_gate_that_never_counted_anything_does_not_pass() -> None:
    strategy = a_strategy().model_copy(update={"min_requests": 1})
    check = judged(strategy, *[GOOD] * 3)[NAME]
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "nothing could be judged yet" in check.reason


def test_a_step_in_which_its_metric_counted_nothing_does_not_end() -> None:
    strategy = a_strategy().model_copy(update={"min_requests": 20})
    second: dict[str, Any] = {"head": canary(2500, approved=1, entered_at=later(50)), "at": 100}
    silent = {**GOOD, "weight": 2500}
    check = judged(strategy, *[told()] * 10, *[silent] * 10, **second)[NAME]
    assert (check.verdict, check.reason) == (Verdict.INCONCLUSIVE, "nothing was counted for custom-lost in this step")
    counted = {**told(), "weight": 2500}
    assert judged(strategy, *[told()] * 10, *[silent] * 9, counted, **second)[NAME].verdict is Verdict.PASS


def test_an_attempt_from_before_an_upgrade_keeps_its_evidence() -> None:
    """The digest of a gate's settings leaves out newer settings that are not set."""
    (evidence,) = [one for one in folded(a_strategy(), GOOD)[-1].evidence if one.gate == "errors"]
    assert isinstance(evidence, GateEvidence)
    before = {name: value for name, value in DEFAULTS["errors"].to_json().items() if value is not None}
    assert evidence.settings == digest(canonical({**before, "role": "", "weight": 0, "method": METHOD}))[:10]


def test_windows_that_are_merged_keep_what_was_counted_and_the_times_of_both() -> None:
    gap = Window(start=later(20), end=later(25), weight=500, gap="away")
    replayed = Window(**{"start": later(5), "end": later(10), "weight": 500, **told(bad=1)})
    merged = gap.merged(replayed)
    assert (merged.start, merged.end, merged.candidate.n) == (later(5), later(25), 10)
    twice = replayed.merged(replayed)
    assert twice.custom[NAME].arms.candidate == Counts(n=20, bad=2)
