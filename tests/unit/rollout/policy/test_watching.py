"""Gates that the spec does not name: `latency` and `classes` find gross differences, and no step waits for them."""

from __future__ import annotations

from dataclasses import replace
from math import log
from typing import Any

import numpy as np
import pytest

from fairlead.contracts.answers import ClassCounts
from fairlead.contracts.gates import GateSpec
from fairlead.contracts.latency import GRID_MS
from fairlead.contracts.revision import Check, Verdict
from fairlead.contracts.route import Strategy
from fairlead.contracts.window import Counts, Histograms, Window
from fairlead.rollout.policy.evidence import active_gates, threshold, weigh
from fairlead.rollout.policy.evidence_gates import judge_evidence
from fairlead.rollout.policy.situation import Situation
from unit.rollout.policy.builders import a_route, a_strategy, canary, later, seen

GOOD: dict[str, Any] = {"candidate": Counts(n=20), "stable": Counts(n=80), "assigned": 20}


def judged(*counts: dict[str, Any], strategy: Strategy | None = None) -> dict[str, Check]:
    """The checks after windows of five seconds with these counts."""
    strategy = strategy or a_strategy()
    windows: list[Window] = []
    for at, one in enumerate(counts):
        window = Window(**{"start": later(5 * at), "end": later(5 * at + 5), "weight": 500, "ready": 1, **GOOD, **one})
        windows.append(window.model_copy(update={"evidence": weigh(strategy, windows, window)}))
    situation = Situation(a_route(strategy=strategy), canary(), replace(seen(5 * len(counts)), windows=tuple(windows)))
    return {str(name): check for name, check in judge_evidence(situation).items()}


def answered(rng: np.random.Generator, median_ms: float, n: int) -> tuple[int, ...]:
    """A histogram of log-normal latencies."""
    times = rng.lognormal(np.log(median_ms), 0.6, n)
    return tuple(int((times <= bound).sum()) for bound in GRID_MS)


def timed(candidate_ms: float, stable_ms: float, *, windows: int = 24, seed: int = 1) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [
        {"latency": Histograms(candidate=answered(rng, candidate_ms, 20), stable=answered(rng, stable_ms, 80))}
        for _ in range(windows)
    ]


def classed(candidate: dict[str, int], stable: dict[str, int], windows: int = 24) -> list[dict[str, Any]]:
    return [{"classes": ClassCounts(candidate=candidate, stable=stable)}] * windows


@pytest.mark.parametrize("stable_ms", [2, 5, 20, 50, 120, 300])
def test_a_version_ten_times_slower_is_rolled_back_with_both_times(stable_ms: float) -> None:
    check = judged(*timed(10 * stable_ms, stable_ms))["latency"]

    assert check.verdict is Verdict.FAIL
    assert check.reason.startswith("1.1.0 is slower than 1.0.0: p50 ")
    assert " ms against p50 " in check.reason


@pytest.mark.parametrize("factor", [0.5, 1, 2, 3])
def test_a_version_a_few_times_slower_is_not(factor: float) -> None:
    found = [judged(*timed(20 * factor, 20, seed=seed))["latency"].verdict for seed in range(10)]

    assert set(found) == {Verdict.PASS}


def test_a_version_that_answers_one_class_only_is_rolled_back_with_that_class() -> None:
    check = judged(*classed({"setosa": 20}, {"setosa": 27, "virginica": 27, "versicolor": 26}))["classes"]

    assert check.verdict is Verdict.FAIL
    assert "class 'setosa' is 100.0% of 480 answers against 33.8% of 1,920" in check.reason


def test_a_retrained_version_with_a_somewhat_other_mix_is_not() -> None:
    check = judged(*classed({"yes": 8, "no": 12}, {"yes": 24, "no": 56}))["classes"]

    assert check.verdict is Verdict.PASS
    assert check.reason.startswith("watched: class 'yes' is 40.0% of 480 answers against 30.0% of 1,920, evidence")


def test_without_data_both_pass_and_say_that_they_do_not_watch() -> None:
    checks = judged(*[GOOD] * 6)

    assert [checks[name].verdict for name in ("latency", "classes")] == [Verdict.PASS, Verdict.PASS]
    assert checks["latency"].reason == "not watched yet: too few answers of both versions"
    assert checks["classes"].reason == "not watched: no answer named a class"


def test_strict_asks_them_for_no_proof_of_safety() -> None:
    checks = judged(*timed(20, 20), strategy=a_strategy(preset="strict"))

    assert checks["latency"].verdict is Verdict.PASS


def test_a_named_gate_waits_for_its_data_as_before() -> None:
    named = a_strategy(gates=(GateSpec(name="latency"),), min_requests=20)

    assert judged(*[GOOD] * 6, strategy=named)["latency"].verdict is Verdict.INCONCLUSIVE


def test_switched_off_they_use_no_alpha() -> None:
    off = Strategy(gates=(GateSpec(name="latency", role="off"), GateSpec(name="classes", role="off")))
    errors = next(gate for gate in active_gates(off) if gate.name == "errors")

    assert [gate.name for gate in active_gates(off)] == ["errors", "starved", "rejections"]
    assert threshold(off, errors) == pytest.approx(log(3 / off.alpha))
    assert threshold(Strategy(), errors) == pytest.approx(log(4 / off.alpha))


def test_a_slowdown_moves_the_boundary_at_which_stable_is_counted() -> None:
    gate = GateSpec(name="latency", slowdown=4)

    assert [gate.stable_boundary(bound) for bound in gate.boundaries] == [0.002, 0.008, 0.032, 0.128, 0.512]


def test_a_boundary_that_stable_is_not_counted_at_is_refused() -> None:
    with pytest.raises(ValueError, match=r"boundaries: stable is compared at 0.002 s / 4: .* nearest boundary is 1 ms"):
        GateSpec(name="latency", boundaries=(0.002,), slowdown=4)
