"""The compiled configurations are equal to the golden files."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.protos import parse
from unit.routing.goldens import FOLDER, configurations, file_text

CONFIGURATIONS = configurations()


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_configuration_equals_its_golden_file(name: str) -> None:
    golden = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert file_text(CONFIGURATIONS[name]) == golden, "if intended: PYTHONPATH=tests python -m unit.routing.goldens"


def test_every_file_is_made_by_the_script() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(CONFIGURATIONS)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_envoy_knows_every_field_of_it(name: str) -> None:
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    parse(json.loads(text, object_hook=without_newer_fields), "envoy.config.bootstrap.v3.Bootstrap")


def without_newer_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Envoy 1.40 has this field; its messages for Python do not have it yet. A real Envoy gets it in test_access."""
    return {name: value for name, value in fields.items() if name != "stats_scope"}
