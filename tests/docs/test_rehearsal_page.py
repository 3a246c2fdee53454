"""docs/rehearsal.md explains every field, event and expectation of a scenario, and no others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from docs.tables import bare, table_below
from fairlead.contracts.parsing import parse_yaml
from fairlead.contracts.scenario import Behaviour, Event, Expectation, Outcome, Scenario
from fairlead.rehearsal.virtual.run import rehearse

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rehearsal.md"
FAULTS = get_args(get_args(Event.model_fields["fault"].annotation)[0])


def fields(kind: type[BaseModel]) -> set[str]:
    """The field names as they are written in YAML."""
    return {str(field.alias) for field in kind.model_fields.values()}


def words(section: str) -> set[str]:
    """The words in backquotes in the first cells of the section's tables."""
    text = PAGE.read_text().split(f"# {section}\n")[1].split("\n##")[0]
    rows = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| `")]
    return {word for row in rows for word in re.findall(r"`([A-Za-z-]+)`", row)}


def test_the_expectations_of_the_page_s_scenario_hold() -> None:
    (text,) = re.findall(r"```yaml\n(# scenario.yaml\n.*?)```", PAGE.read_text(), re.DOTALL)
    found = rehearse(parse_yaml(Scenario, text, PAGE.name), seed=1)
    assert [(str(one.expectation), one.seen) for one in found.judgements if not one.held] == []


def test_every_field_of_a_scenario_is_explained() -> None:
    assert words("A scenario") == fields(Scenario)


def test_every_field_of_a_behaviour_is_explained_with_its_default() -> None:
    shown: dict[str, Any] = {bare(name): default for name, _, default in table_below(PAGE, "How a version answers")}
    assert shown.keys() == fields(Behaviour)
    plain = Behaviour()
    assert shown["startup"] == f"{plain.startup:g} s"
    assert shown["latency"] == f"{1000 * plain.latency.median:g} ms, {plain.latency.sigma}"
    assert shown["instances"] == str(plain.instances)


@pytest.mark.parametrize("word", sorted({*fields(Event) - {"at", "until"}, *FAULTS}))
def test_every_kind_of_event_is_explained(word: str) -> None:
    assert word in words("Events")


@pytest.mark.parametrize("word", sorted({*fields(Expectation) - {"gate", "reason"}, *(one.value for one in Outcome)}))
def test_every_word_of_an_expectation_is_explained(word: str) -> None:
    assert word in words("Expectations")
