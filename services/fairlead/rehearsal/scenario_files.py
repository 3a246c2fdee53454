"""Reads scenarios: the built-in ones by name, the user's own from a file."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from fairlead import errors
from fairlead.contracts.parsing import parse_yaml
from fairlead.contracts.scenario import Scenario

FOLDER = files("fairlead.rehearsal") / "scenarios"
BUILT_IN_NAMES = ("good-release", "five-percent-errors", "slow-candidate", "metrics-outage", "no-traffic")
"""The built-in scenarios, in the order in which they are listed."""


def built_in_scenarios() -> list[Scenario]:
    """Every scenario that comes with Fairlead."""
    return [find(name) for name in BUILT_IN_NAMES]


def text_of(name: str) -> str:
    """The YAML of a built-in scenario by name, else of a file. Raises NotFound, with the built-in names as hint."""
    if name in BUILT_IN_NAMES:
        return (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise errors.NotFound(
            f"no scenario {name}: {why}", hint=f"name a file, or a built-in scenario: {', '.join(BUILT_IN_NAMES)}"
        ) from error


def find(name: str) -> Scenario:
    """A built-in scenario by name, else the one in that file. Raises NotFound, and Invalid with the fields' paths."""
    return parse_yaml(Scenario, text_of(name), name, hint="docs/rehearsal.md lists every field")
