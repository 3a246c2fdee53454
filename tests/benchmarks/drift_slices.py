"""Simulates slices of rows: how many rows drift of few users needs to be found in their slice and in all rows, and how
often an alert of a slice is false."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from fairlead.contracts.slices import MAX_SLICES
from support import proof
from support.drift import rules
from support.drift.rows import KINDS, PREDICTION, Counted

TITLE = "slices of rows: drift of one row in twenty, false alarms, simulated"
SEED = 20261130
SHARE, REFERENCE, WINDOWS = 0.05, 6000, 168
ALLOWED, FOUND, NEEDED = 0.01, 0.95, 20_000
SHIFTED = KINDS[0]
POOL = 1_000_000
"""So many rows say how often each bin is hit: rows of the weeks are drawn from these shares."""


@dataclass(frozen=True)
class Plan:
    """The sizes of a run. Weeks of one group have the same bins."""

    groups: int
    weeks: int
    rows: Sequence[int]
    shifts: Sequence[float]
    windows: int


PLANS: Mapping[proof.Size, Plan] = {
    "full": Plan(25, 40, (10_040, 12_000, 15_000, 20_000, 30_000, 40_000), (0.5, 1.0), 1000),
    "reduced": Plan(1, 4, (10_040, 40_000), (1.0,), 100),
}


def power(plan: Plan, found: proof.Findings) -> None:
    """An input of one row in twenty moves: in which share of the hours is it found?"""
    table = [_power(shift, rows, plan.windows) for shift in plan.shifts for rows in plan.rows]
    found.numbers["power"] = table
    for shift in plan.shifts:
        mine = [one for one in table if one["shift"] == shift]
        needed = next((round(one["rows"]) for one in mine if one["slice"] >= FOUND), None)
        what = f"an input of {SHARE:.0%} of the rows moves by {shift:g} sd"
        said = needed or f"never: {max(one['slice'] for one in mine):.0%}"
        if shift == 1:
            holds = needed is not None and needed <= NEEDED
            found.claim(f"{what}: rows an hour to find it in their slice", f"at most {NEEDED}", said, holds)
        else:
            found.note(f"{what}: rows an hour to find it in their slice", said)
        most = max(one["all"] for one in mine)
        found.claim(f"{what}: hours in which it is found in all rows", "none", f"{most:.1%}", most == 0)


def _power(shift: float, rows: int, windows: int) -> dict[str, float]:
    random = np.random.default_rng((SEED, round(100 * shift), rows))
    feature, few = Counted(SHIFTED, random, REFERENCE), round(SHARE * rows)
    part = feature.with_rows(SHIFTED.draw(random, (round(SHARE * REFERENCE),)))
    alarmed: dict[str, list[bool]] = {"slice": [], "all": []}
    for _ in range(windows // 20):
        mine = part.of(SHIFTED.draw(random, (20, few)) + shift)
        others = feature.of(SHIFTED.draw(random, (20, rows - few)))
        alarmed["slice"] += rules.alarms(part, mine, few).tolist()
        alarmed["all"] += rules.alarms(feature, mine + others, rows).tolist()
    return {"shift": shift, "rows": rows, **{name: round(float(np.mean(ones)), 4) for name, ones in alarmed.items()}}


def false_alarms(plan: Plan, found: proof.Findings) -> None:
    """Weeks of eight slices of twenty inputs and a prediction in which nothing changes: every alarm is false."""
    alarmed = 0
    for group in range(plan.groups):
        random = np.random.default_rng((SEED, group))
        weeks = np.zeros(plan.weeks, dtype=np.bool_)
        for kind in (*KINDS, PREDICTION):
            feature = Counted(kind, random, REFERENCE)
            shares = feature.of(kind.draw(random, (1, POOL)))[0] / POOL
            few = rules.SETTINGS.least_rows + 1
            for week in range(plan.weeks):
                for _ in range(MAX_SLICES):
                    part = feature.with_counts(random.multinomial(round(SHARE * REFERENCE), shares))
                    drawn = random.multinomial(round(few), shares, WINDOWS)
                    weeks[week] |= rules.alarms(part, drawn, round(few)).any()
        alarmed += int(weeks.sum())
    share = alarmed / (plan.groups * plan.weeks)
    found.numbers["falseAlarms"] = {"weeks": plan.groups * plan.weeks, "share": round(share, 4)}
    what = f"{MAX_SLICES} slices of {SHARE:.0%} of the rows: weeks with a false alarm"
    found.claim(what, f"at most {ALLOWED:.0%}", f"{share:.1%}", share <= ALLOWED)


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Run both parts on one core."""
    found, plan = proof.Findings(), PLANS[size]
    found.numbers["plan"] = json.loads(json.dumps(asdict(plan)))
    power(plan, found)
    false_alarms(plan, found)
    return found


if __name__ == "__main__":
    proof.run("drift_slices", TITLE, prove)
