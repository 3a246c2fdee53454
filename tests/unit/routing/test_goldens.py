"""What Envoy is told, word for word."""

from __future__ import annotations

import json

import pytest

from support.protos import parse
from unit.routing.goldens import FOLDER, configurations, written

CONFIGURATIONS = configurations()


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_gateway_is_told_what_its_file_says(name: str) -> None:
    kept = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert written(CONFIGURATIONS[name]) == kept, "if it is meant: PYTHONPATH=tests python -m unit.routing.goldens"


def test_every_file_is_made_by_the_script() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(CONFIGURATIONS)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_envoy_knows_every_field_of_it(name: str) -> None:
    parse(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")), "envoy.config.bootstrap.v3.Bootstrap")
