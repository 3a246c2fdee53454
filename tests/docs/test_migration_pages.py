"""The pages for users of Argo Rollouts and Flagger: both forms of a rollout are the same, and the rehearsals hold."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import TypeAdapter

from fairlead.cli.main import COMMANDS
from fairlead.contracts.base import Duration
from fairlead.contracts.gates import GateName, GateSpec
from fairlead.contracts.parsing import parse_yaml
from fairlead.contracts.route import RouteSpec, Step, Sticky, Strategy, WarmUp
from fairlead.contracts.scenario import Scenario
from fairlead.rehearsal.virtual.run import rehearse

DOCS = Path(__file__).resolve().parents[2] / "docs"
ARGO, FLAGGER = DOCS / "from-argo-rollouts.md", DOCS / "from-flagger.md"
SETTING = re.compile(r"(?:^|[{ ])([a-z][A-Za-z]+)(?=:)")
"""A setting between backquotes: the word before a colon."""
PAGES = pytest.mark.parametrize("page", [ARGO, FLAGGER], ids=lambda page: page.stem)


def block(page: Path, first: str) -> str:
    (text,) = re.findall(rf"```yaml\n(# {first}\n.*?)```", page.read_text(), re.DOTALL)
    return str(text)


def theirs(page: Path, first: str) -> dict[str, Any]:
    spec: dict[str, Any] = yaml.safe_load(block(page, first))["spec"]
    return spec


def ours(page: Path) -> Strategy:
    return Strategy.model_validate(yaml.safe_load(block(page, "iris.yaml"))["strategy"])


def seconds(text: str) -> float:
    return TypeAdapter(Duration).validate_python(text)


def test_every_step_of_the_argo_rollout_is_a_step_of_the_strategy() -> None:
    spec = theirs(ARGO, "argo-rollouts: iris")
    steps = spec["strategy"]["canary"]["steps"]
    wanted = []
    for weight, pause in zip(steps[::2], steps[1::2], strict=True):
        duration = pause["pause"].get("duration")
        wanted.append((100 * weight["setWeight"], duration and seconds(duration)))
    strategy = ours(ARGO)
    assert wanted == [(step.weight, None if step.approval else step.min_duration) for step in strategy.steps]
    assert strategy.warm_up.deadline == spec["progressDeadlineSeconds"]


def test_every_weight_of_the_flagger_canary_is_a_step_and_every_metric_a_gate() -> None:
    spec = theirs(FLAGGER, "flagger: iris")
    analysis, strategy = spec["analysis"], ours(FLAGGER)
    weights = range(analysis["stepWeight"], analysis["maxWeight"] + 1, analysis["stepWeight"])
    lasts = seconds(analysis["interval"])
    assert [(100 * weight, lasts) for weight in weights] == [(one.weight, one.min_duration) for one in strategy.steps]
    assert strategy.warm_up.deadline == spec["progressDeadlineSeconds"]
    (slowest,) = (one["thresholdRange"]["max"] for one in analysis["metrics"] if one["name"] == "request-duration")
    (latency,) = (gate for gate in strategy.gates if gate.name == "latency")
    assert any(abs(1000 * bound - slowest) < 0.05 * slowest for bound in latency.boundaries)


@PAGES
def test_the_scenario_has_the_strategy_of_the_page_and_its_expectations_hold(page: Path) -> None:
    scenario = parse_yaml(Scenario, block(page, "scenario.yaml"), page.name)
    assert scenario.strategy == ours(page)
    for seed in (1, 2, 3):
        found = rehearse(scenario, seed=seed)
        assert [(str(one.expectation), one.seen) for one in found.judgements if not one.held] == []


@PAGES
def test_every_command_and_gate_that_the_page_names_exists(page: Path) -> None:
    text = page.read_text()
    assert {name for name in re.findall(r"`fairlead ([a-z-]+)", text)} <= set(COMMANDS)
    named = re.findall(r"gate `([a-z]+)`", text)
    assert named
    assert set(named) <= set(get_args(GateName))


@PAGES
def test_every_fairlead_setting_in_the_table_exists(page: Path) -> None:
    kinds = (Strategy, RouteSpec, GateSpec, Step, Sticky, WarmUp)
    known = {str(field.alias) for kind in kinds for field in kind.model_fields.values()}
    cells = [line.split(" | ")[1] for line in page.read_text().splitlines() if line.startswith("| ") and " | " in line]
    named = {word for cell in cells for quoted in re.findall(r"`([^`]+)`", cell) for word in SETTING.findall(quoted)}
    assert "approval" in named
    assert named - known == set()
