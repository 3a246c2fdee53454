"""Gates in a spec: their settings, and errors with the field's path."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.contracts.parsing import parse
from fairlead.contracts.route import GateSpec, Strategy
from fairlead.errors import Invalid


def strategy(**spec: Any) -> Strategy:
    return parse(Strategy, spec, "strategy.yaml")


def test_a_strategy_is_the_same_after_json() -> None:
    told = strategy(gates=[{"name": "latency", "boundaries": ["64ms", "256ms"], "marginShare": 0.1}], preset="strict")
    assert Strategy.model_validate(told.to_json()) == told
    assert told.gates[0].boundaries == (0.064, 0.256)


@pytest.mark.parametrize(
    ("gate", "told"),
    [
        ({"name": "speed"}, "gates.0.name: there is no gate 'speed': use one of ready, smoke"),
        ({"name": "agreement"}, "gates: gate 'agreement' needs mirrored requests, and nothing is mirrored"),
        ({"name": "classes", "scoreTolerance": 1}, "gates.0.scoreTolerance: not a setting of gate 'classes'"),
        ({"name": "agreement", "maxDisagreement": 0}, "gates.0.maxDisagreement: Input should be greater than 0"),
        ({"name": "ready", "role": "off"}, "gates.0.role: gate 'ready' cannot be off"),
        ({"name": "errors", "boundaries": ["64ms"]}, "gates.0.boundaries: not a setting of gate 'errors'"),
        ({"name": "smoke", "margin": 0.1}, "gates.0.margin: not a setting of gate 'smoke': it has none"),
        ({"name": "starved", "margin": 0.1}, "it has chance, starvedShare, weight"),
        ({"name": "latency", "boundaries": ["50ms"]}, "does not count latency at 50 ms; the nearest boundary is 48 ms"),
        ({"name": "latency", "boundaries": ["64ms", "32ms"]}, "boundaries must be in ascending order"),
        ({"name": "latency", "boundaries": []}, "name at least one boundary"),
        ({"name": "errors", "margin": -0.1}, "gates.0.margin: Input should be greater than or equal to 0"),
        ({"name": "errors", "weight": 0}, "gates.0.weight: Input should be greater than 0"),
    ],
)
def test_an_invalid_gate_is_refused_with_its_path(gate: dict[str, Any], told: str) -> None:
    with pytest.raises(Invalid) as refused:
        strategy(gates=[gate])
    assert told in refused.value.message


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"alpha": 0}, "alpha"),
        ({"alpha": 0.5}, "alpha"),
        ({"beta": 1}, "beta"),
        ({"preset": "careful"}, "preset"),
        ({"onInconclusive": {"do": "shrug"}}, "onInconclusive.do"),
        ({"onMetricsUnavailable": {"then": "promote"}}, "onMetricsUnavailable.then"),
        ({"minRequests": -1}, "minRequests"),
        ({"confidence": 0.95}, "confidence"),
    ],
)
def test_a_wrong_strategy_is_refused_with_the_fields_path(spec: dict[str, Any], path: str) -> None:
    with pytest.raises(Invalid, match=f"strategy.yaml: {path}: "):
        strategy(**spec)


def test_a_gate_may_be_switched_off_by_name() -> None:
    assert GateSpec(name="rejections", role="off").role == "off"
