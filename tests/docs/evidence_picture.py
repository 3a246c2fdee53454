"""Draws the picture on docs/evidence.md: a simulated rollout, drawn with the code of `fairlead history --svg`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairlead.contracts.revision import Revision
from fairlead.contracts.scenario import Scenario
from fairlead.rehearsal.virtual.simulation import play
from fairlead.views import evidence_svg
from fairlead.views.attempt import attempts

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "tests" / "benchmarks" / "results" / "evidence.svg"
SCENARIO = Scenario.model_validate(
    {
        "name": "evidence",
        "description": "Good for two minutes, then one request in twenty fails; no counters for ten seconds.",
        "duration": "4m",
        "seed": 4,
        "load": 50,
        "strategy": {"steps": [{"weight": 1000, "minDuration": "1m30s"}, {"weight": 2500, "minDuration": "5m"}]},
        "stable": {"errors": 0.002, "instances": 2},
        "candidate": {"errors": 0.002, "instances": 2, "startup": "5s"},
        "events": [
            {"at": "45s", "until": "55s", "fault": "metrics-outage"},
            {"at": "2m10s", "candidate": {"errors": 0.05}},
        ],
        "expect": [{"by": "3m30s", "outcome": "rolled-back", "gate": "errors"}],
    }
)


NAMES = {"rehearsed": "iris", "stable": "1.0.0", "candidate": "1.1.0", "scenario": "alice"}
"""A simulation names route, versions and the person who releases by their roles."""


def draw() -> str:
    """The SVG document. Every run gives the same bytes."""
    played = play(SCENARIO, seed=SCENARIO.seed).revisions
    revisions = [Revision.model_validate(_named(one.model_dump(mode="json"))) for one in played]
    return evidence_svg.draw(attempts("iris", revisions, (), ())[-1])


def _named(value: Any) -> Any:
    """The value with our names in its texts; the names of fields stay."""
    if isinstance(value, Mapping):
        return {key: _named(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_named(inner) for inner in value]
    if not isinstance(value, str):
        return value
    return re.sub("|".join(NAMES), lambda found: NAMES[found[0]], value)


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
