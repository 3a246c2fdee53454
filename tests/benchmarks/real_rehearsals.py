"""Compares rehearsals in virtual time with live ones of the same scenario: the weights and expectations must agree."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead.rehearsal.scenario_files import BUILT_IN_NAMES
from support import proof
from support.platform import FAIRLEAD

TITLE = "rehearsed in virtual time, and played by real processes in real time"
QUICK = """
name: quick
duration: 50s
load: 60
strategy: {steps: [{weight: 2000, minDuration: 5m}]}
candidate: {errors: 0.4, startup: 2s}
expect:
  - {from: 0s, weightAtMost: 2000}
  - {by: 45s, outcome: rolled-back, gate: errors}
"""


@dataclass(frozen=True)
class Plan:
    """The built-in scenarios to run (none: a quick one), and the timeout of each."""

    built_in: tuple[str, ...]
    timeout_s: float


PLANS: Mapping[proof.Size, Plan] = {"full": Plan(BUILT_IN_NAMES, 900), "reduced": Plan((), 150)}


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Run all scenarios at the same time, each on its own platform."""
    found, plan = proof.Findings(), PLANS[size]
    scenarios: Sequence[str] = plan.built_in or (str(_written(folder / "quick.yaml")),)
    with _live_rehearsals(scenarios, folder) as processes:
        for name, process in zip(scenarios, processes, strict=True):
            out, problem = process.communicate(timeout=plan.timeout_s)
            if not out:
                raise AssertionError(f"{name}: exit {process.returncode}\n{problem}")
            judge(_virtual(name), json.loads(out), found)
    return found


def judge(virtual: dict[str, Any], real: dict[str, Any], found: proof.Findings) -> None:
    """The claims of one scenario."""
    name = real["scenario"]
    (imagined,), (played,) = virtual["runs"], real["runs"]
    broken = [one["expect"] for one in played["expectations"] if not one["held"]]
    found.claim(f"{name}: expectations that held, real", "all", "all" if not broken else f"not {broken}", not broken)
    found.claim(f"{name}: the same, rehearsed", "all", "all" if virtual["held"] else "not all", virtual["held"])
    weights = [one["weight"] for one in played["weights"]]
    wanted = [one["weight"] for one in imagined["weights"]]
    found.claim(f"{name}: weights", f"{wanted}, as rehearsed", weights, weights == wanted)
    found.note(
        f"{name}: seconds of each weight, rehearsed and real", f"{_weight_times(imagined)}; {_weight_times(played)}"
    )
    found.note(f"{name}: bad answers to users, real", f"{played['badForUsers']:,} of {played['requests']:,}")
    found.numbers[name] = {"real": played, "rehearsed": imagined}


def _weight_times(run: dict[str, Any]) -> str:
    return ", ".join(f"{one['at']:g}" for one in run["weights"])


def _virtual(name: str) -> dict[str, Any]:
    done = subprocess.run([FAIRLEAD, "rehearse", name, "--json"], capture_output=True, text=True, check=False)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@contextmanager
def _live_rehearsals(scenarios: Sequence[str], folder: Path) -> Iterator[list[subprocess.Popen[str]]]:
    processes = [
        subprocess.Popen(
            [FAIRLEAD, "rehearse", name, "--real", "--json", "--keep", folder / f"kept-{number}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, name in enumerate(scenarios)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            if process.poll() is None:
                process.terminate()  # it stops the processes that it has started
                process.wait(30)


def _written(path: Path) -> Path:
    path.write_text(QUICK)
    return path


if __name__ == "__main__":
    proof.run("real_rehearsals", TITLE, prove)
