"""False alarms and time to roll back, simulated: the engine's own mathematics beside the rules of other tools.

Not named `statistics`: a script's folder comes first on Python's path, and the standard library has that name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.rollout.analysis import several
from fairlead.rollout.analysis.comparison import UNKNOWN, Margins
from support import proof
from support.rollouts import rules
from support.rollouts.rules import ALPHA, Ints
from support.rollouts.world import IID, NUISANCES, WINDOW_S, WINDOWS, Cell, Counted, play, play_classes, play_latency

TITLE = "simulated rollouts: false alarms and time to roll back"
SEED = 20261121
SHARE = 1 / 3
"""What one of three gates of equal weight may spend of the release's alpha; 1 is a gate that has all of it."""
OURS, WHOLE, BARE = "fairlead, a third of alpha", "fairlead, all of alpha", "fairlead, no margin"
WIDER = (0.005, 0.01, 0.02)
"""Floors of the margin that are tried where failures come in clumps."""
BOUNDARIES = np.array([0.008, 0.032, 0.128, 0.512, 2.048])
MIX, MOVED = np.array([0.6, 0.3, 0.1]), np.array([0.45, 0.3, 0.25])
TOLERATED = 0.03


@dataclass(frozen=True)
class Plan:
    """The grid."""

    rollouts: int
    rates: Sequence[float]
    baselines: Sequence[float]
    nuisances: Sequence[str]
    worse: Sequence[float]
    medians_s: Sequence[float]
    rivals: Sequence[str]


PLANS: Mapping[proof.Size, Plan] = {
    "full": Plan(
        1000,
        (2, 20, 200),
        (0.001, 0.01, 0.05),
        NUISANCES,
        (0.005, 0.012, 0.05, 0.5),
        (0.002, 0.006, 0.02, 0.04, 0.1, 0.3, 1.0),
        tuple(rules.RIVALS),
    ),
    "reduced": Plan(
        120,
        (20,),
        (0.01,),
        ("stationary", "shared incident"),
        (0.05,),
        (0.006, 0.3),
        ("Argo >= 99 %, 1 m, limit 0", "z-test, peeked each minute"),
    ),
}


@dataclass(frozen=True)
class Outcome:
    """What one rule did in one cell."""

    rule: str
    rolled_back: float
    """The share of the rollouts."""
    seconds: float | None
    """The median until then, over those that were; None where fewer than half were."""
    requests: float | None
    """The candidate's requests until then, median."""
    harmed: float | None
    """How many of them were bad beyond what stable would have answered badly, mean."""

    def to_json(self) -> dict[str, Any]:
        """For the results."""
        return {
            "rule": self.rule,
            "rolledBack": round(self.rolled_back, 4),
            "seconds": self.seconds,
            "requests": self.requests,
            "harmed": self.harmed,
        }


def outcome(rule: str, first: Ints, counted: Counted, excess: float) -> Outcome:
    """From the windows in which each rollout ended. `excess` is by how much the candidate's true rate is worse."""
    ended = first < WINDOWS
    share = float(ended.mean())
    if share < 0.5:
        return Outcome(rule, share, None, None, None)
    n = counted.candidate_n if counted.candidate_n.ndim == 2 else counted.candidate_n[..., 0]
    spent = n.cumsum(axis=0)[np.minimum(first, WINDOWS - 1), np.arange(n.shape[1])]
    seconds = float(np.median(np.where(ended, (first + 1) * WINDOW_S, np.inf)))
    return Outcome(rule, share, seconds, float(np.median(spent[ended])), round(float(spent.mean()) * excess, 1))


def judged(cell: Cell, counted: Counted, rivals: Sequence[str], *, bare: bool = True) -> list[Outcome]:
    """Ours and the others on the same counts."""
    excess = max(0.0, cell.bad - cell.baseline)
    harmed, _ = rules.evidence(counted, margins=Margins(), shares=(SHARE, 1.0))
    firsts = {OURS: harmed[SHARE], WHOLE: harmed[1.0]}
    if bare:
        firsts[BARE] = rules.evidence(counted, margins=Margins(floor=0.0, share=0.0), shares=(1.0,))[0][1.0]
    firsts |= {name: rules.RIVALS[name](counted) for name in rivals}
    return [outcome(name, first, counted, excess) for name, first in firsts.items()]


def false_alarms(plan: Plan, found: proof.Findings) -> None:
    """A/A: both versions are the same, and whoever rolls back is wrong."""
    rows: list[dict[str, Any]] = []
    for nuisance in plan.nuisances:
        for rps in plan.rates:
            for baseline in plan.baselines:
                cell = Cell(rps, baseline, baseline, nuisance)
                counted = play(cell, plan.rollouts, SEED)
                rows.append(_row(cell, judged(cell, counted, plan.rivals)))
                if nuisance not in IID:
                    rows[-1]["widerMargin"] = {str(floor): _alarms(counted, floor) for floor in WIDER}
    found.numbers["aa"] = rows
    for nuisance in plan.nuisances:
        mine = [row for row in rows if row["nuisance"] == nuisance]
        worst = max(mine, key=lambda row: _of(row, WHOLE)["rolledBack"])
        share = _of(worst, WHOLE)["rolledBack"]
        what = f"A/A, {nuisance}: rolled back wrongly, worst of {len(mine)} cells"
        if nuisance in IID:
            found.claim(what, f"at most {ALPHA:.0%}", f"{share:.1%}", share <= ALPHA)
        else:
            found.told(f"{what}, default margin", f"{share:.1%} ({worst['rps']:g}/s, {worst['baseline']:.1%})")
            found.told(f"A/A, {nuisance}: margin for at most {TOLERATED:.0%} in every cell", _enough(mine))
        for rule in plan.rivals:
            rival = max(_of(row, rule)["rolledBack"] for row in mine)
            found.told(f"A/A, {nuisance}: {rule}, worst cell", f"{rival:.1%}")


def power(plan: Plan, found: proof.Findings) -> None:
    """Errors at 10 % of the traffic, from a baseline of 0.2 %."""
    rows = []
    for rps in plan.rates:
        for bad in plan.worse:
            cell = Cell(rps, 0.002, bad)
            rows.append(_row(cell, judged(cell, play(cell, plan.rollouts, SEED), plan.rivals)))
    found.numbers["errors"] = rows
    asked = next(row for row in rows if row["rps"] == 20 and row["bad"] == 0.05)
    seconds = _of(asked, OURS)["seconds"]
    found.claim(
        "20/s, 10 %, errors 0.2 -> 5 %: median seconds to roll back",
        "at most 90",
        f"{seconds:g}" if seconds else "never",
        seconds is not None and seconds <= 90,
    )
    for row in rows:
        ours = _of(row, OURS)
        found.told(f"{row['cell']}: fairlead", _told(ours))
        for rule in plan.rivals:
            rival = _of(row, rule)
            if (rival["seconds"] or 9e9) < (ours["seconds"] or 9e9):
                found.told(f"{row['cell']}: sooner with {rule}", _told(rival))


def other_gates(plan: Plan, found: proof.Findings) -> None:
    """Doubled latency, a class mix that moved, a renamed field; and that none of it is seen where nothing happened."""
    rows = []
    for rps in plan.rates:
        cell = Cell(rps, 0.002, 0.002)
        for name, slower in (("latency as before", 1.0), ("latency doubled", 2.0)):
            counted = play_latency(cell, slower, BOUNDARIES, plan.rollouts, SEED)
            rows.append({"what": name, "rps": rps, **_latency(counted)})
        for name, mix in (("classes as before", MIX), ("a class moved by 15 points", MOVED)):
            counted = play_classes(cell, MIX, mix, plan.rollouts, SEED)
            first = rules.evidence(
                counted, margins=Margins(floor=0.05), shares=(SHARE,), advance=several.advance_classes, width=2
            )[0]
            rows.append({"what": name, "rps": rps, **outcome(OURS, first[SHARE], counted, 0).to_json()})
        renamed = Cell(rps, 0.01, 0.5)
        counted = play(renamed, plan.rollouts, SEED)
        first = rules.evidence(counted, margins=Margins(), shares=(SHARE,))[0]
        rows.append({"what": "a renamed field (4xx)", "rps": rps, **outcome(OURS, first[SHARE], counted, 0).to_json()})
    found.numbers["otherGates"] = rows
    for row in rows:
        what, told = f"{row['rps']:g}/s, {row['what']}", _told(row)
        if row["what"].endswith("as before"):
            found.claim(f"{what}: rolled back wrongly", f"at most {ALPHA:.0%}", told, row["rolledBack"] <= ALPHA)
        else:
            found.told(what, told)


def latencies(plan: Plan, found: proof.Findings) -> None:
    """Latency at 50 requests/s and 10 %, wherever it lies: hardly any answer beyond a boundary, or most of them."""
    cell, rows = Cell(50, 0.002, 0.002), []
    for median_s in plan.medians_s:
        for slower in (1.0, 2.0):
            counted = play_latency(cell, slower, BOUNDARIES, plan.rollouts, SEED, median_s=median_s)
            rows.append({"medianS": median_s, "slower": slower, **_latency(counted)})
    found.numbers["latencies"] = rows
    wrongly = max(row["rolledBack"] for row in rows if row["slower"] == 1)
    found.claim(
        f"50/s, latency as before, {len(plan.medians_s)} medians: rolled back wrongly, worst",
        f"at most {ALPHA:.0%}",
        f"{wrongly:.1%}",
        wrongly <= ALPHA,
    )
    slowest = max(row["seconds"] or float("inf") for row in rows if row["slower"] == 2)
    found.claim(
        f"50/s, latency doubled, {len(plan.medians_s)} medians: median seconds to roll back, worst",
        "at most 60",
        f"{slowest:g}",
        slowest <= 60,
    )


def _latency(counted: Counted) -> dict[str, Any]:
    harmed, _ = rules.evidence(
        counted, margins=Margins(), shares=(SHARE,), advance=several.advance_latency, prior=UNKNOWN
    )
    return outcome(OURS, harmed[SHARE], counted, 0).to_json()


def promotion(plan: Plan, found: proof.Findings) -> None:
    """How long `strict` needs to be convinced of a good candidate, and how often a bad one convinces it."""
    rows = []
    for rps in plan.rates:
        for name, bad in (("good", 0.002), ("unacceptable", 0.002 + 0.01 + 0.002)):
            cell = Cell(rps, 0.002, bad)
            counted = play(cell, plan.rollouts, SEED)
            _, proven = rules.evidence(counted, margins=Margins(), shares=(SHARE,))
            rows.append({"what": name, "rps": rps, **outcome("safe", proven, counted, 0).to_json()})
    found.numbers["promotion"] = rows
    for row in rows:
        shown, of = row["rolledBack"], f"{row['rps']:g}/s, a candidate that is {row['what']}"
        seconds = f", median {row['seconds']:g} s" if row["seconds"] else ""
        if row["what"] == "good":
            found.told(f"{of}: shown to be safe", f"{shown:.1%}{seconds}")
        else:
            found.claim(f"{of}: called safe", f"at most {rules.BETA:.0%}", f"{shown:.1%}", shown <= rules.BETA)


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """All of it on one core."""
    found, plan = proof.Findings(), PLANS[size]
    found.numbers["plan"] = json.loads(json.dumps(plan.__dict__))
    false_alarms(plan, found)
    power(plan, found)
    other_gates(plan, found)
    latencies(plan, found)
    promotion(plan, found)
    return found


def _alarms(counted: Counted, floor: float) -> float:
    harmed, _ = rules.evidence(counted, margins=Margins(floor=floor), shares=(1.0,))
    return round(float((harmed[1.0] < WINDOWS).mean()), 4)


def _enough(rows: Sequence[dict[str, Any]]) -> str:
    """The smallest floor that was tried and suffices everywhere."""
    floors = {f"{Margins().floor:.1%} (the default)": max(_of(row, WHOLE)["rolledBack"] for row in rows)}
    floors |= {f"{floor:.1%}": max(row["widerMargin"][str(floor)] for row in rows) for floor in WIDER}
    return next(
        (f"{floor}: {worst:.1%}" for floor, worst in floors.items() if worst <= TOLERATED), "none of those tried"
    )


def _row(cell: Cell, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    where = {"cell": cell.name, "rps": cell.rps, "baseline": cell.baseline, "bad": cell.bad, "nuisance": cell.nuisance}
    return {**where, "outcomes": [one.to_json() for one in outcomes]}


def _of(row: dict[str, Any], rule: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in row["outcomes"] if one["rule"] == rule)
    return found


def _told(one: dict[str, Any]) -> str:
    if one["seconds"] is None:
        return f"{one['rolledBack']:.1%}"
    return f"{one['rolledBack']:.1%}, {one['seconds']:g} s, {one['requests']:g} requests, {one['harmed']:g} harmed"


if __name__ == "__main__":
    proof.run("rollout_statistics", TITLE, prove)
