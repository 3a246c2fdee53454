"""Compares the knees that `fairlead calibrate` finds with what models of known speed can answer at most.

A call of the model sleeps, so the most that it can answer per second is known: rows of a call, divided by its time. The
two halves of the machine do not compete for it.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import proof
from support.folders import DOUBLER, make
from support.service import FAIRLEAD

TITLE = "fairlead calibrate: models of known speed, and iris twice"
IRIS = Path(__file__).resolve().parents[2] / "build" / "models" / "iris" / "1.1.0"
WITHIN: Mapping[proof.Size, float] = {"full": 0.2, "reduced": 0.4}
"""How far a knee may be from the most that can be answered. At the reduced size a window has a few dozen requests."""
SPREAD = 0.15
"""How far two runs may be apart."""
SECONDS: Mapping[proof.Size, int] = {"full": 30, "reduced": 12}
RUNS: Mapping[proof.Size, int] = {"full": 2, "reduced": 1}


@dataclass(frozen=True)
class Known:
    """A model whose call takes a known time, for up to `rows` rows."""

    call_ms: int
    rows: int

    @property
    def name(self) -> str:
        """What it does, in words."""
        return f"{self.call_ms} ms a call of {f'up to {self.rows} rows' if self.rows > 1 else 'one row'}"

    @property
    def most(self) -> float:
        """Requests of one row that it can answer per second."""
        return 1000 * self.rows / self.call_ms

    def write(self, folder: Path) -> Path:
        """Its folder."""
        asleep = f"        time.sleep({self.call_ms / 1000})\n        return [Doubled"
        code = DOUBLER.replace("import fairlead", "import time\nimport fairlead").replace(
            "        return [Doubled", asleep
        )
        return make(folder / f"{self.call_ms}-{self.rows}", code=code, batching={"max_rows": self.rows})


KNOWN: Mapping[proof.Size, Sequence[Known]] = {
    "full": (Known(10, 1), Known(100, 1), Known(10, 16)),
    "reduced": (Known(20, 1), Known(20, 8)),
}


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Calibrate each model, and at the full size each one twice, with iris."""
    found = proof.Findings()
    numbers: dict[str, Any] = {}
    for one in KNOWN[size]:
        own = ("--max-rows", str(one.rows))  # only the manifest's setting
        runs = [calibrated(one.write(folder / str(run)), SECONDS[size], *own) for run in range(RUNS[size])]
        numbers[one.name] = runs
        rates = [knee(run) for run in runs]
        low, high = (1 - WITHIN[size]) * one.most, (1 + WITHIN[size]) * one.most
        what = f"{one.name}: requests/s at the knee"
        said = ", ".join(f"{rate:,.0f}" for rate in rates)
        holds = all(low <= rate <= high for rate in rates)
        if size == "reduced" and (why := unsure(runs)).startswith("other processes"):
            said, holds = why, True  # the command says so itself: a test may run beside others, a proof may not
        found.claim(what, f"{low:,.0f} to {high:,.0f}", said, holds)
        if size == "full":
            found.note(f"{one.name}: target, requests in flight", ", ".join(f"{target(run):g}" for run in runs))
            _claim_spread(found, one.name, rates)
    if size == "full":
        numbers["iris"] = [calibrated(IRIS, SECONDS[size]) for _ in range(RUNS[size])]
        for run in numbers["iris"]:
            for curve in run["curves"]:
                rate = f"{curve['knee']['requests_per_s']:,.0f}" if curve["sure"] else curve["why_unsure"]
                rows = curve["batching"]["max_rows"]
                found.note(f"iris, max_rows {rows}, wait {curve['batching']['max_wait_ms']:g} ms: requests/s", rate)
        chosen = [json.dumps(run["recommended"]) for run in numbers["iris"]]
        found.note("iris: recommended", "; ".join(chosen))
    busy = max(point["generator_share"] for runs in numbers.values() for run in runs for point in points(run))
    found.note("load generator, of its core, at most", f"{busy:.2f}")
    found.numbers = numbers
    return found


def _claim_spread(found: proof.Findings, name: str, rates: Sequence[float]) -> None:
    apart = max(rates) / min(rates) - 1 if min(rates) else float("inf")
    found.claim(f"{name}: how far the runs are apart", f"<= {SPREAD:.0%}", f"{apart:.1%}", apart <= SPREAD)


def calibrated(folder: Path, seconds: int, *flags: str) -> dict[str, Any]:
    """The JSON of one run of the command. Its exit code is 1 if no number is sure, which is no knee."""
    command = [str(FAIRLEAD), "calibrate", str(folder), "--json", "--seconds", str(seconds), *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def knee(run: Mapping[str, Any]) -> float:
    """Requests per second at the knee of the manifest's setting; 0 if it is not sure."""
    first = run["curves"][0]
    return float(first["knee"]["requests_per_s"]) if first["sure"] else 0.0


def unsure(runs: Sequence[Mapping[str, Any]]) -> str:
    """Why a run has no sure knee of the manifest's setting; empty if all have."""
    return next((why for run in runs if (why := str(run["curves"][0]["why_unsure"]))), "")


def target(run: Mapping[str, Any]) -> float:
    """The requests in flight for which one pod is enough; 0 if nothing is recommended."""
    return float(run["recommended"]["target_in_flight"]) if run["recommended"] else 0.0


def points(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All windows of a run."""
    return [point for curve in run["curves"] for point in curve["points"]]


if __name__ == "__main__":
    proof.run("calibrate", TITLE, prove)
