"""`fairlead rehearse`: what it prints, and how it ends."""

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


def told(result: Result) -> Any:
    return json.loads(result.stdout)


def test_what_was_expected_and_held_ends_well(monkeypatch: pytest.MonkeyPatch, mine: Path) -> None:
    result = fairlead(monkeypatch, mine)
    assert result.exit_code == exit_codes.OK
    assert "candidate passed every step and is stable" in result.stdout
    assert result.stdout.endswith("mine: everything that was expected held\n")


def test_what_did_not_hold_is_told_with_what_was_seen(monkeypatch: pytest.MonkeyPatch, mine: Path) -> None:
    mine.write_text(SCENARIO + "  - {never: promoted}\n")
    result = fairlead(monkeypatch, mine)
    assert result.exit_code == exit_codes.FAILED
    assert "NO    always: not promoted" in result.stdout
    assert result.stdout.endswith("mine: not everything held\n")


def test_several_runs_are_shares_with_the_seeds_that_did_not_hold(monkeypatch: pytest.MonkeyPatch, mine: Path) -> None:
    mine.write_text(SCENARIO + "  - {never: promoted}\n")
    result = fairlead(monkeypatch, mine, "--runs", 2, "--seed", 40)
    assert result.exit_code == exit_codes.FAILED
    assert "2 of 2  by 1m: promoted" in result.stdout
    assert "seed 40, 41" in result.stdout


def test_a_share_of_the_runs_can_be_enough(monkeypatch: pytest.MonkeyPatch, mine: Path) -> None:
    mine.write_text(SCENARIO + "  - {never: promoted}\n")
    assert fairlead(monkeypatch, mine, "--least", "0").exit_code == exit_codes.OK


def test_json_has_every_run_with_weights_story_and_expectations(monkeypatch: pytest.MonkeyPatch, mine: Path) -> None:
    found = told(fairlead(monkeypatch, mine, "--json", "--seed", 7))
    assert (found["scenario"], found["held"]) == ("mine", True)
    (run,) = found["runs"]
    assert run["seed"] == 7
    assert [one["weight"] for one in run["weights"]] == [0, 1000, 10_000]
    assert [one["held"] for one in run["expectations"]] == [True, True]
    assert {"at", "weight", "what", "why"} == run["story"][0].keys()


def test_the_shipped_ones_are_listed_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = told(fairlead(monkeypatch, "--list", "--json"))
    assert [one["name"] for one in listed][:2] == ["good-release", "five-percent-errors"]
    assert "name: no-traffic" in fairlead(monkeypatch, "no-traffic", "--show").stdout


def test_a_wrong_field_is_refused_with_its_path(monkeypatch: pytest.MonkeyPatch, mine: Path) -> None:
    mine.write_text(SCENARIO.replace("load", "traffic"))
    refused = fairlead(monkeypatch, mine).exception
    assert isinstance(refused, errors.Invalid)
    assert sorted(str(detail.loc[0]) for detail in refused.details) == ["load", "traffic"]


@pytest.mark.parametrize("arguments", [("nowhere.yaml",), ("nowhere.yaml", "--show")])
def test_a_scenario_that_is_not_there_names_the_shipped_ones(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    refused = fairlead(monkeypatch, *arguments).exception
    assert isinstance(refused, errors.NotFound)
    assert "good-release" in str(refused.hint)


def test_no_scenario_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = fairlead(monkeypatch).exception
    assert isinstance(refused, errors.Invalid)
    assert "--list" in str(refused.hint)
