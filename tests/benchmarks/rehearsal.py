"""Compares the time to roll back in a virtual rehearsal with real processes behind a real Envoy."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairlead.contracts.revision import Cause
from fairlead.contracts.route import Step, Strategy
from fairlead.contracts.scenario import Behaviour as Behaves
from fairlead.contracts.scenario import Expectation, Load, Outcome, Scenario
from fairlead.rehearsal.virtual.run import rehearse
from support import proof
from support.faults import folders
from support.load.open_loop import OpenLoop
from support.platform import Platform, doublers, running_platform, users

TITLE = "seconds from the first weight to weight 0: rehearsed, and with real processes"
STABLE, CANDIDATE, MODEL = "1.0.0", "1.1.0", "doubler"
WEIGHT = 1000
WINDOW_S = 5.0
"""The tolerance: a real run begins at any moment of a window, and ends at the end of one."""


@dataclass(frozen=True)
class Plan:
    """The load, the error shares, the number of real and of rehearsed runs, and the timeout of a run."""

    rate: float
    errors: tuple[float, ...]
    real: int
    rehearsed: int
    timeout_s: float


PLANS: Mapping[proof.Size, Plan] = {
    "full": Plan(50, (0.05, 0.3), 10, 100, 180),
    "reduced": Plan(100, (0.3,), 1, 20, 40),
}


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """For each error share: compare real runs with rehearsed runs."""
    found, plan = proof.Findings(), PLANS[size]
    for number, share in enumerate(plan.errors):
        rehearsed = sorted(_rehearsed(plan, share, seed) for seed in range(plan.rehearsed))
        real = _real(plan, share, folder / str(number))
        judge(share, rehearsed, real, found)
    return found


def judge(share: float, rehearsed: Sequence[float], real: Sequence[float], found: proof.Findings) -> None:
    """The claim for one error share: the real median is in the range of nine of ten rehearsed runs."""
    low, high = (rehearsed[round(part * (len(rehearsed) - 1))] for part in (0.05, 0.95))
    median = statistics.median(real)
    found.claim(
        f"{share:.0%} errors: seconds to weight 0, real, median of {len(real)}",
        f"{low - WINDOW_S:g} to {high + WINDOW_S:g}, as rehearsed",
        f"{median:.1f} ({min(real):.1f} to {max(real):.1f})",
        low - WINDOW_S <= median <= high + WINDOW_S,
    )
    found.note(f"{share:.0%} errors: rehearsed, median of {len(rehearsed)}", f"{statistics.median(rehearsed):.1f}")
    found.numbers[f"{share:.0%} errors"] = {"real": list(real), "rehearsed": list(rehearsed)}


def _rehearsed(plan: Plan, share: float, seed: int) -> float:
    scenario = Scenario(
        name="as-it-really-is",
        duration=plan.timeout_s,
        load=(Load(rate=plan.rate),),
        strategy=Strategy(steps=(Step(weight=WEIGHT, min_duration=600),)),
        candidate=Behaves(errors=share, startup=1.0),
        expect=(Expectation(outcome=Outcome.ROLLED_BACK),),
    )
    changes = [at_s for at_s, _ in rehearse(scenario, seed=seed).weights]
    return changes[2] - changes[1] if len(changes) > 2 else plan.timeout_s


def _real(plan: Plan, share: float, folder: Path) -> list[float]:
    folder.mkdir()
    strategy = {"steps": [{"weight": WEIGHT, "minDuration": "10m"}]}
    models = doublers(folder, STABLE, CANDIDATE, model=MODEL, strategy=strategy)
    candidate = folder / "models" / MODEL / CANDIDATE
    with running_platform(folder, models) as platform:
        return [_one(platform, plan, candidate, share, first=turn == 0) for turn in range(plan.real)]


def _one(platform: Platform, plan: Plan, candidate: Path, share: float, *, first: bool) -> float:
    folders.behave(candidate)  # without errors first: its golden rows must pass
    with OpenLoop(platform.url, rate=plan.rate, seconds=plan.timeout_s, request=users(MODEL)) as load:
        platform.command(*(("release", MODEL, CANDIDATE, "--skip-check") if first else ("retry", MODEL)))
        step = platform.wait_for(MODEL, "the candidate has its share", candidate=CANDIDATE, weight=WEIGHT)
        folders.behave(candidate, fail=share)
        platform.process.wait_until(
            lambda: platform.head(MODEL).cause is Cause.ROLLED_BACK, "it is rolled back", within=plan.timeout_s
        )
        load.stop()
    return round((platform.head(MODEL).created_at - step.created_at).total_seconds(), 2)


if __name__ == "__main__":
    proof.run("rehearsal", TITLE, prove)
