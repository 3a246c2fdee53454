"""`fairlead rehearse`: its output and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fairlead import errors
from fairlead.cli import exit_codes
from fairlead.cli.main import app

SCENARIO = """
name: mine
duration: 1m
load: 100
strategy: {steps: [{weight: 1000, minDuration: 10s}]}
candidate: {startup: 0s}
expect:
  - {at: 5s, weight: 1000}
  - {by: 1m, outcome: promoted}
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(SCENARIO)
    return path


def fairlead(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> Result:
    # The group asks sys.argv whether the help page is wanted.
    words = ["rehearse", *map(str, arguments)]
    monkeypatch.setattr("sys.argv", ["fairlead", *words])
    return CliRunner().invoke(app, words)


def parsed(result: Result) -> Any:
    return json.loads(result.stdout)


def test_it_exits_0_when_every_expectation_held(monkeypatch: pytest.MonkeyPatch, mine: Path) -> None:
    result = fairlead(monkeypatch, mine)
    assert result.exit_code == exit_codes.OK
    assert "candidate passed every step and is stable" in result.stdout
    assert result.stdout.endswith("mine: every expectation held\n")


def test_an_expectation_that_did_not_hold_is_shown_with_what_was_seen(
    monkeypatch: pytest.MonkeyPatch, mine: Path
) -> None:
    mine.write_text(SCENARIO + "  - {never: promoted}\n")
    result = fairlead(monkeypatch, mine)
    assert result.exit_code == exit_codes.FAILED
    assert "NO    always: not promoted" in result.stdout
    assert result.stdout.endswith("mine: not every expectation held\n")


def test_several_runs_show_how_many_held_and_the_seeds_that_failed(monkeypatch: pytest.MonkeyPatch, mine: Path) -> None:
    mine.write_text(SCENARIO + "  - {never: promoted}\n")
    result = fairlead(monkeypatch, mine, "--runs", 2, "--seed", 40)
    assert result.exit_code == exit_codes.FAILED
    assert "2 of 2  by 1m: promoted" in result.stdout
    assert "seed 40, 41" in result.stdout


def test_least_sets_the_share_of_runs_that_must_hold(monkeypatch: pytest.MonkeyPatch, mine: Path) -> None:
    mine.write_text(SCENARIO + "  - {never: promoted}\n")
    assert fairlead(monkeypatch, mine, "--least", "0").exit_code == exit_codes.OK


def test_json_has_every_run_with_weights_report_and_expectations(monkeypatch: pytest.MonkeyPatch, mine: Path) -> None:
    found = parsed(fairlead(monkeypatch, mine, "--json", "--seed", 7))
    assert (found["scenario"], found["held"]) == ("mine", True)
    (run,) = found["runs"]
    assert run["seed"] == 7
    assert [one["weight"] for one in run["weights"]] == [0, 1000, 10_000]
    assert [one["held"] for one in run["expectations"]] == [True, True]
    assert {"at", "weight", "what", "why"} == run["story"][0].keys()


def test_built_in_scenarios_are_listed_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = parsed(fairlead(monkeypatch, "--list", "--json"))
    assert [one["name"] for one in listed][:2] == ["good-release", "five-percent-errors"]
    assert "name: no-traffic" in fairlead(monkeypatch, "no-traffic", "--show").stdout


def test_a_wrong_field_is_refused_with_its_path(monkeypatch: pytest.MonkeyPatch, mine: Path) -> None:
    mine.write_text(SCENARIO.replace("load", "traffic"))
    refused = fairlead(monkeypatch, mine).exception
    assert isinstance(refused, errors.Invalid)
    assert sorted(str(detail.loc[0]) for detail in refused.details) == ["load", "traffic"]


@pytest.mark.parametrize("arguments", [("nowhere.yaml",), ("nowhere.yaml", "--show")])
def test_a_missing_scenario_names_the_built_in_ones(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    refused = fairlead(monkeypatch, *arguments).exception
    assert isinstance(refused, errors.NotFound)
    assert "good-release" in str(refused.hint)


def test_no_scenario_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = fairlead(monkeypatch).exception
    assert isinstance(refused, errors.Invalid)
    assert "--list" in str(refused.hint)
