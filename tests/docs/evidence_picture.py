"""Draws the picture on docs/evidence.md: a simulated rollout, drawn with the code of `fairlead history --svg`."""

from __future__ import annotations

from pathlib import Path

from fairlead.cli.picture import svg
from fairlead.cli.picture.attempt import newest
from fairlead.contracts.scenario import Scenario
from fairlead.rehearsal.virtual.simulation import play

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


def draw() -> str:
    """The SVG document. Every run gives the same bytes."""
    attempt = newest("iris", play(SCENARIO, seed=SCENARIO.seed).revisions, (), ())
    if attempt is None:
        raise RuntimeError("the simulated rollout has no windows, so there is nothing to draw")
    return svg.draw(attempt)


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
