"""Simulates false alarms and time to roll back, with the engine's own mathematics and with the rules of other tools.

The module is not named `statistics`: a script's folder comes first on Python's path, and would hide the standard
library's module of that name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from benchmarks import simulated_rollouts
from benchmarks.simulated_rollouts.errors import (
    false_alarms,
    lasting_clumps,
    late_faults,
    overdispersed_power,
    power,
)
from benchmarks.simulated_rollouts.gates import latencies, other_gates, promotion
from benchmarks.simulated_rollouts.outcomes import Plan
from fairlead.rollout import analysis
from support import proof
from support.rollouts import rules
from support.rollouts.simulated_counts import LASTING, NUISANCES
from support.row_cache import RowCache, digest_of

TITLE = "simulated rollouts: false alarms and time to roll back"
BUILD = Path(__file__).resolve().parents[2] / "build"

PLANS: Mapping[proof.Size, Plan] = {
    "full": Plan(
        1000,
        (2, 20, 50, 200),
        (0.001, 0.01, 0.05),
        NUISANCES,
        (0.005, 0.012, 0.05, 0.5),
        (0.002, 0.006, 0.02, 0.04, 0.1, 0.3, 1.0),
        tuple(rules.RIVALS),
        LASTING,
        (300, 1200),
    ),
    "reduced": Plan(
        120,
        (20,),
        (0.01,),
        ("stationary", "shared incident", "overdispersion 2"),
        (0.05, 0.5),
        (0.006, 0.3),
        ("Argo >= 99 %, 1 m, limit 0", "z-test, peeked each minute"),
        LASTING[:1],
        (300,),
    ),
}


PARTS = (
    false_alarms,
    lasting_clumps,
    power,
    overdispersed_power,
    late_faults,
    other_gates,
    latencies,
    promotion,
)


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Run all parts on one core. A full run that was stopped continues where it was, unless the code has changed."""
    found, plan = proof.Findings(), PLANS[size]
    found.numbers["plan"] = json.loads(json.dumps(plan.__dict__))
    rooms = [Path(str(room.__file__)).parent for room in (simulated_rollouts, rules, analysis)]
    sources = [Path(__file__), *(source for room in rooms for source in sorted(room.glob("*.py")))]
    rows = RowCache(
        (BUILD if size == "full" else folder) / "rollout_statistics.jsonl", fingerprint=digest_of(sources, plan)
    )
    for part in PARTS:
        part(plan, rows, found)
    return found


if __name__ == "__main__":
    proof.run("rollout_statistics", TITLE, prove)
