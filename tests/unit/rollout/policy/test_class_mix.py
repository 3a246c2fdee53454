"""The gate `classes`: what it detects, what it accepts, and that it needs answers."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from fairlead.contracts.answers import ClassCounts
from fairlead.contracts.gates import GateSpec
from fairlead.contracts.window import Window
from fairlead.rollout.analysis.stored_comparison import State
from fairlead.rollout.policy.class_mix import OTHER, weigh_classes
from fairlead.rollout.policy.evidence import weigh
from unit.rollout.policy.builders import a_strategy, later

GATE = GateSpec(name="classes")
MIX = {"a": 0.5, "b": 0.3, "c": 0.2}
ENOUGH = log(400)


def run(
    candidate: dict[str, float], stable: dict[str, float], *, windows: int = 60, seed: int = 1, gate: GateSpec = GATE
) -> tuple[State, float, float]:
    """Windows of 50 answers of the candidate and 200 of stable, drawn with these shares."""
    rng, most, safe = np.random.default_rng(seed), 0.0, 0.0
    state: State = {}
    for _ in range(windows):
        window = a_window(draw(rng, candidate, 50), draw(rng, stable, 200))
        weighed = weigh_classes(gate, state, window)
        state, safe, most = weighed.state, weighed.safe, max(most, weighed.harm)
    return state, most, safe


def draw(rng: np.random.Generator, shares: dict[str, float], n: int) -> dict[str, int]:
    return dict(zip(shares, rng.multinomial(n, list(shares.values())).tolist(), strict=True))


def a_window(candidate: dict[str, int], stable: dict[str, int]) -> Window:
    counts = ClassCounts(candidate=candidate, stable=stable)
    return Window(start=later(0), end=later(5), weight=1000, classes=counts)


def test_a_candidate_that_swaps_two_classes_is_found() -> None:
    _, harm, _ = run({"a": 0.3, "b": 0.5, "c": 0.2}, MIX)
    assert harm > ENOUGH


def test_a_class_that_vanished_and_one_that_is_new_are_found() -> None:
    _, harm, _ = run({"a": 0.5, "b": 0.3, "d": 0.2}, MIX)
    assert harm > ENOUGH


def test_the_same_mix_is_shown_to_be_safe() -> None:
    _, harm, safe = run(MIX, MIX, windows=400)
    assert harm < ENOUGH
    assert safe > log(20)


def test_a_shift_within_the_margin_is_no_harm() -> None:
    found = [run({"a": 0.46, "b": 0.34, "c": 0.2}, MIX, seed=seed)[1] for seed in range(20)]
    assert max(found) < ENOUGH


def test_the_same_mix_is_seldom_called_another() -> None:
    found = [run(MIX, MIX, seed=seed)[1] for seed in range(100)]
    assert sum(one > log(20) for one in found) <= 5


def test_mixes_that_move_together_are_no_difference() -> None:
    rng, most = np.random.default_rng(3), 0.0
    state: State = {}
    for at in range(60):
        shares = MIX if at % 20 < 10 else {"a": 0.1, "b": 0.1, "c": 0.8}
        weighed = weigh_classes(GATE, state, a_window(draw(rng, shares, 50), draw(rng, shares, 200)))
        state, most = weighed.state, max(most, weighed.harm)
    assert most < ENOUGH


@pytest.mark.parametrize(("candidate", "stable"), [({}, {}), ({"a": 50}, {}), ({}, {"a": 200})])
def test_a_window_in_which_a_version_answered_no_request_is_no_evidence(
    candidate: dict[str, int], stable: dict[str, int]
) -> None:
    state, _, _ = run(MIX, MIX, windows=10)
    before = weigh_classes(GATE, state, a_window({}, {}))
    after = weigh_classes(GATE, before.state, a_window(candidate, stable))
    assert (after.harm, after.safe, after.requests) == (before.harm, before.safe, before.requests)


def test_more_classes_than_places_are_compared_together() -> None:
    shares = {f"class {at}": 1 / 20 for at in range(20)}
    state, harm, _ = run(shares, shares)
    assert len([name for name in state if name.startswith("class:")]) == OTHER
    assert harm < ENOUGH


def test_the_state_survives_storage() -> None:
    strategy = a_strategy(gates=(GATE,))
    first = a_window({"a": 30, "b": 20}, {"a": 120, "b": 80})
    first = first.model_copy(update={"evidence": weigh(strategy, (), first)})
    stored = Window.model_validate_json(first.model_dump_json(by_alias=True))
    assert weigh(strategy, (stored,), first) == weigh(strategy, (first,), first)
