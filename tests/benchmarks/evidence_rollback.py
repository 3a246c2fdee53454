"""Measures how soon evidence takes a bad candidate's weight, with real processes, a real Envoy and open-loop users."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead.contracts.revision import Cause, Revision
from support import proof
from support.faults import folders
from support.load.open_loop import OpenLoop
from support.platform import Platform, doublers, running_platform, users
from support.processes import ProcessFailed

TITLE = "a bad candidate at 10 % of 50 requests/s loses its weight by evidence"
STABLE, CANDIDATE = "1.0.0", "1.1.0"
MODEL = "doubler"
MAX_EXTRA_BAD = 5
"""The maximum number of bad responses that users may get in one run before the weight is 0."""
GOOD = "a good candidate"
STEPS = [{"weight": weight, "minDuration": "15s"} for weight in (1000, 2500, 5000)]
LATENCY = {"name": "latency", "boundaries": ["8ms", "16ms", "32ms", "64ms"]}


@dataclass(frozen=True)
class Case:
    """One kind of bad candidate, the gate that must find it, and the maximum time until then (median, seconds)."""

    name: str
    gate: str
    max_s: float
    spoil: Callable[[Path], None]
    runs: int
    bad_for_users: bool = True
    """False if users do not get the bad responses, because the gateway falls back to stable."""


@dataclass(frozen=True)
class Plan:
    """The load, the cases, the number of runs, and the timeout of a run."""

    rate: float
    cases: tuple[str, ...]
    runs: int
    timeout_s: float


PLANS: Mapping[proof.Size, Plan] = {
    "full": Plan(50, ("5 % errors", "latency doubled", "a renamed field", GOOD), 10, 180),
    "reduced": Plan(100, ("a renamed field",), 1, 40),
}


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Run the cases in parallel, each on its own platform. A rolled-back version is retried for the next run."""
    found, plan = proof.Findings(), PLANS[size]
    cases = [one for one in _cases(plan.runs) if one.name in plan.cases]
    with ThreadPoolExecutor(len(plan.cases)) as pool:
        running = [pool.submit(_run, case, plan, folder / str(number)) for number, case in enumerate(cases)]
        good = pool.submit(_good, plan, folder / "good") if GOOD in plan.cases else None
        for case, one in zip(cases, running, strict=True):
            judge(case, one.result(), found)
        if good is not None:
            judge_good(good.result(), found)
    return found


def _cases(runs: int) -> list[Case]:
    return [
        Case("5 % errors", "errors", 60, lambda at: folders.behave(at, fail=0.05), runs, bad_for_users=False),
        Case("latency doubled", "latency", 60, lambda at: folders.behave(at, slow_ms=12), runs, bad_for_users=False),
        Case("a renamed field", "rejections", 30, lambda at: None, runs),
    ]


def _run(case: Case, plan: Plan, folder: Path) -> list[dict[str, Any]]:
    folder.mkdir()
    strategy = {
        "steps": [{"weight": 1000, "minDuration": "10m"}],
        "gates": [LATENCY] if case.gate == "latency" else [],
    }
    models = doublers(folder, STABLE, CANDIDATE, model=MODEL, strategy=strategy)
    stable, candidate = (folder / "models" / MODEL / version for version in (STABLE, CANDIDATE))
    if case.gate == "latency":
        folders.behave(stable, slow_ms=6)
    if case.gate == "rejections":
        folders.rename_field(candidate, "value", "number")
    runs = []
    with running_platform(folder, models) as platform:
        for turn in range(case.runs):
            runs.append(_one(platform, plan, case, candidate, first=turn == 0))
    return runs


def _good(plan: Plan, folder: Path) -> dict[str, Any]:
    """Release a candidate that is as good as stable: it must pass every step."""
    folder.mkdir()
    models = doublers(folder, STABLE, CANDIDATE, model=MODEL, strategy={"steps": STEPS, "gates": [LATENCY]})
    for version in (STABLE, CANDIDATE):
        folders.behave(folder / "models" / MODEL / version, slow_ms=6)
    with (
        running_platform(folder, models) as platform,
        OpenLoop(platform.url, rate=plan.rate, seconds=plan.timeout_s, request=users(MODEL)) as load,
    ):
        platform.command("release", MODEL, CANDIDATE, "--skip-check")
        step = platform.wait_for(MODEL, "the candidate has its share", candidate=CANDIDATE, weight=1000)
        within = plan.timeout_s - 60
        last = platform.wait_for(MODEL, "the candidate is stable", stable=CANDIDATE, candidate=None, within=within)
        load.stop()
        summary = load.result()
    return {
        "seconds": round((last.created_at - step.created_at).total_seconds(), 2),
        "cause": last.cause.value,
        "stable": last.table.stable.version,
        "sent": summary.sent,
        "badForUsers": summary.failed,
    }


def judge_good(run: dict[str, Any], found: proof.Findings) -> None:
    """The claims of the good candidate."""
    promoted = run["cause"] == Cause.PROMOTED and run["stable"] == CANDIDATE
    found.claim(f"{GOOD}: reaches 100 %", "yes", "yes" if promoted else run["cause"], promoted)
    found.claim(f"{GOOD}: bad answers to users, of {run['sent']:,}", "0", run["badForUsers"], not run["badForUsers"])
    found.note(f"{GOOD}: first weight -> 100 %, s", f"{run['seconds']:.1f}")
    found.numbers[GOOD] = run


def _one(platform: Platform, plan: Plan, case: Case, candidate: Path, *, first: bool) -> dict[str, Any]:
    folders.behave(candidate, slow_ms=6 if case.gate == "latency" else 0)
    with OpenLoop(platform.url, rate=plan.rate, seconds=plan.timeout_s, request=users(MODEL)) as load:
        platform.command(
            *(("release", MODEL, CANDIDATE, "--skip-check", "--accept-breaking") if first else ("retry", MODEL))
        )
        case.spoil(candidate)
        step = platform.wait_for(MODEL, "the candidate has its share", candidate=CANDIDATE, weight=1000)
        back = _rolled_back(platform, plan.timeout_s)
        time.sleep(0.5)
        load.stop()
        summary = load.result()
    check = next((one for one in back.evidence if back.reason.find(f": {one.gate}: ") >= 0), None)
    return {
        "seconds": round((back.created_at - step.created_at).total_seconds(), 2),
        "gate": check.gate if check else "",
        "reason": back.reason,
        "numbers": check.numbers if check else {},
        "windows": len(back.windows),
        "gaps": sorted(window.gap for window in back.windows if window.gap),
        "sent": summary.sent,
        "badForUsers": summary.failed,
    }


def _rolled_back(platform: Platform, within: float) -> Revision:
    try:
        platform.process.wait_until(
            lambda: platform.head(MODEL).cause is Cause.ROLLED_BACK, "the candidate is rolled back", within=within
        )
    except ProcessFailed as failed:
        raise ProcessFailed(f"{failed}\n{_windows_text(platform)}") from None
    return platform.head(MODEL)


def _windows_text(platform: Platform) -> str:
    """Every window since the candidate has its share, as text for an error: they show why there was no rollback."""
    windows = platform.store.windows(MODEL)
    return "\n".join(
        f"{window.seconds:.1f} s: {window.gap or 'counted'}; candidate {window.candidate.bad} of {window.candidate.n}, "
        f"stable {window.stable.bad} of {window.stable.n}, assigned {window.assigned}, ready {window.ready}, harm "
        + ", ".join(f"{one.gate} {one.log_harm:.1f}" for one in window.evidence)
        for window in windows
    )


def judge(case: Case, runs: list[dict[str, Any]], found: proof.Findings) -> None:
    """The claims of one case."""
    seconds = [one["seconds"] for one in runs]
    median = statistics.median(seconds)
    what = f"{case.name}: first weight -> weight 0, median of {len(runs)}, s"
    found.claim(
        what,
        f"at most {case.max_s:g}",
        f"{median:.1f} ({min(seconds):.1f} to {max(seconds):.1f})",
        median <= case.max_s,
    )
    gates = sorted({one["gate"] for one in runs})
    found.claim(f"{case.name}: rolled back by", case.gate, ", ".join(gates), gates == [case.gate])
    bad = [one["badForUsers"] for one in runs]
    if case.bad_for_users:
        found.note(f"{case.name}: bad answers to users, most in one run", max(bad))
    else:
        found.claim(
            f"{case.name}: bad answers to users, most in one run",
            f"at most {MAX_EXTRA_BAD}",
            max(bad),
            max(bad) <= MAX_EXTRA_BAD,
        )
    found.numbers[case.name] = runs


if __name__ == "__main__":
    proof.run("evidence_rollback", TITLE, prove)
