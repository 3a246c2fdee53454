"""Scenarios: those that come with Fairlead, by name, and anybody's own, by file."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from fairlead import errors
from fairlead.contracts.parsing import parse_yaml
from fairlead.contracts.scenario import Scenario

FOLDER = files("fairlead.rehearsal") / "scenarios"
ORDER = ("good-release", "five-percent-errors", "slow-candidate", "metrics-outage", "no-traffic")
"""The shipped ones, as they are listed."""


def shipped() -> list[Scenario]:
    """Every scenario that comes with Fairlead."""
    return [find(name) for name in ORDER]


def text_of(name: str) -> str:
    """A scenario's YAML: a shipped one's by name, else a file's. Raises NotFound, naming the shipped ones."""
    if name in ORDER:
        return (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise errors.NotFound(
            f"no scenario {name}: {why}", hint=f"name a file, or one that comes with Fairlead: {', '.join(ORDER)}"
        ) from error


def find(name: str) -> Scenario:
    """A shipped scenario by name, else the one in that file. Raises NotFound, and Invalid with the fields' paths."""
    return parse_yaml(Scenario, text_of(name), name, hint="docs/rehearsal.md lists every field")
