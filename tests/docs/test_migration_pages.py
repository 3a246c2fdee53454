"""The pages for users of other tools: both forms of a rollout or a model are the same, and the rehearsals hold."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import TypeAdapter

from fairlead import Model
from fairlead.cli.main import COMMANDS
from fairlead.contracts.base import Duration
from fairlead.contracts.gates import GateName, GateSpec
from fairlead.contracts.manifest import Batching, Manifest
from fairlead.contracts.parsing import parse_yaml
from fairlead.contracts.route import RouteSpec, Step, Sticky, Strategy, WarmUp
from fairlead.contracts.scenario import Scenario
from fairlead.rehearsal.virtual.run import rehearse
from fairlead.serving.settings import Settings
from support.service import FAIRLEAD

DOCS = Path(__file__).resolve().parents[2] / "docs"
IRIS = DOCS.parent / "build" / "models" / "iris" / "1.1.0"
ARGO, FLAGGER, SERVERS = DOCS / "from-argo-rollouts.md", DOCS / "from-flagger.md", DOCS / "from-model-servers.md"
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


def test_the_model_of_the_page_gives_the_golden_answers_of_the_example(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", SERVERS.read_text(), re.DOTALL)
    folder = tmp_path / "iris"
    shutil.copytree(IRIS, folder)
    (folder / "model.py").write_text(code)
    done = subprocess.run([FAIRLEAD, "check", folder, "--json"], capture_output=True, text=True, check=False)
    outcomes = {one["check"]: one["outcome"] for one in json.loads(done.stdout)["checks"]}
    assert done.returncode == 0, done.stdout
    assert outcomes["golden rows"] == outcomes["batching"] == outcomes["protocols"] == "passed"


def test_every_field_that_the_page_of_model_servers_maps_to_exists() -> None:
    known = set(Manifest.model_fields) | set(Batching.model_fields) | set(Settings.model_fields)
    known |= {name for name in vars(Model) if not name.startswith("_")} | {"fairlead.yaml", "autoscaling", "target"}
    cells = [
        line.split(" | ")[1] for line in SERVERS.read_text().split("## What clients")[0].splitlines() if " | " in line
    ]
    quoted = {
        word for cell in cells for text in re.findall(r"`([^`]+)`", cell) for word in re.findall(r"[a-z_.-]+", text)
    }
    assert {"predict_frame", "max_wait_ms", "call_timeout_s"} <= quoted
    assert quoted - known - set(COMMANDS) - {"x-deadline-ms", "process"} == set()
