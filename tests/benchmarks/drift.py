"""Simulates weeks of a model: how often an alert of drift is false, how many rows drift needs to be found, and whether
many replicas say the same as one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from fairlead import profile
from fairlead.profile import statistics
from support import drift, proof
from support.drift import rules
from support.drift.rows import KINDS, PREDICTION, Counted
from support.row_cache import Row, RowCache, digest_of

TITLE = "drift: false alarms, rows needed, replicas, simulated"
SEED = 20261130
WINDOWS = 168
"""Hours of a week."""
ALLOWED = 0.01
FOUND = 0.95
NEEDED = 2000
"""A shift of half a standard deviation is to be found with so many rows."""
OURS, FIXED = "fairlead", "PSI above 0.2"
COLUMN, DATA_SET = "Evidently, any column", "Evidently, half of the columns"
SHIFTED = KINDS[0]
BUILD = Path(__file__).resolve().parents[2] / "build"


@dataclass(frozen=True)
class Cell:
    """Requests an hour, the rows of each (they are equal), and the rows of the reference."""

    requests: int
    rows_each: int = 1
    reference: int = 6000

    @property
    def name(self) -> str:
        """The cell in words."""
        each = f" of {self.rows_each} equal rows" if self.rows_each > 1 else ""
        small = f", a reference of {self.reference} rows" if self.reference < 6000 else ""
        return f"{self.requests} requests an hour{each}{small}"


@dataclass(frozen=True)
class Plan:
    """The sizes of a run. `judged` is the number of weeks that the rule with sorted rows judges: it is slow."""

    weeks: int
    judged: int
    chunk: int
    cells: Sequence[Cell]
    powers: Sequence[int]
    shifts: Sequence[float]
    windows: int


CELLS = (Cell(60), Cell(200), Cell(600), Cell(60, 20), Cell(600, reference=300))
PLANS: Mapping[proof.Size, Plan] = {
    "full": Plan(
        1000, 20, 20, CELLS, (200, 300, 400, 501, 600, 800, 1000, 1500, 2000, 3000, 5000), (0.3, 0.5, 1.0), 2000
    ),
    "reduced": Plan(6, 1, 3, (Cell(600), Cell(60, 20), Cell(600, reference=300)), (501, 1000), (0.5,), 200),
}


def false_alarms(plan: Plan, cache: RowCache, found: proof.Findings) -> None:
    """Weeks of twenty inputs and a prediction in which nothing changes: every alarm is false."""
    table: list[Row] = []
    for number, cell in enumerate(plan.cells):
        chunks = {
            f"{cell.name}, weeks from {first}": partial(_weeks, plan, cell, number, first)
            for first in range(0, plan.weeks, plan.chunk)
        }
        rows = cache.collect("false alarms", chunks)
        table.append({"cell": cell.name, **{rule: _share(rows, rule) for rule in (OURS, FIXED, COLUMN, DATA_SET)}})
    found.numbers["falseAlarms"] = table
    for row in table:
        what = f"{row['cell']}: weeks with a false alarm"
        found.claim(what, f"at most {ALLOWED:.0%}", f"{row[OURS]:.1%}", row[OURS] <= ALLOWED)
        others = "; ".join(f"{rule}: {row[rule]:.0%}" for rule in (FIXED, COLUMN, DATA_SET))
        found.note(f"{row['cell']}: the others", others)


def _share(rows: Sequence[Row], rule: str) -> float:
    weeks = [bool(week) for row in rows for week in row[rule]]
    return round(sum(weeks) / len(weeks), 4)


def _weeks(plan: Plan, cell: Cell, number: int, first: int) -> Row:
    """For each week whether each rule has alarmed. Every week has a reference of its own."""
    result: dict[str, list[bool]] = {rule: [] for rule in (OURS, FIXED, COLUMN, DATA_SET)}
    for week in range(first, min(first + plan.chunk, plan.weeks)):
        random = np.random.default_rng((SEED, number, week))
        ours, fixed, columns = [], [], []
        for kind in (*KINDS, PREDICTION):
            feature = Counted(kind, random, cell.reference)
            drawn = kind.draw(random, (WINDOWS, cell.requests))
            counts = feature.of(drawn) * cell.rows_each
            ours.append(rules.alarms(feature, counts, cell.requests).any())
            fixed.append(rules.fixed(feature, counts).any())
            if week < plan.judged:
                columns.append(rules.evidently(feature, drawn))  # equal rows do not change a distance
        result[OURS].append(bool(np.any(ours)))
        result[FIXED].append(bool(np.any(fixed)))
        if columns:
            result[COLUMN].append(bool(np.any(columns)))
            result[DATA_SET].append(bool((np.mean(columns, axis=0) >= 0.5).any()))
    return dict(result)


def power(plan: Plan, cache: RowCache, found: proof.Findings) -> None:
    """One input of twenty moves: in which share of the hours do the conditions of the alert hold?"""
    wanted = {
        f"{shift:g} sd, {rows} rows": partial(_power, plan, shift, rows)
        for shift in plan.shifts
        for rows in plan.powers
    }
    found.numbers["power"] = table = cache.collect("power", wanted)
    for shift in plan.shifts:
        mine = [row for row in table if row["shift"] == shift]
        needed = next((row["rows"] for row in mine if row[OURS] >= FOUND), None)
        what = f"one of 20 inputs moves by {shift:g} sd: rows an hour to find it in {FOUND:.0%} of the hours"
        if shift == 0.5:
            found.claim(what, f"at most {NEEDED}", needed, needed is not None and needed <= NEEDED)
        else:
            found.note(what, needed or f"never: {max(row[OURS] for row in mine):.0%}, it is below the floor")


def _power(plan: Plan, shift: float, rows: int) -> Row:
    random = np.random.default_rng((SEED, round(100 * shift), rows))
    alarmed = []
    for _ in range(plan.windows // 100):
        feature = Counted(SHIFTED, random, 6000)
        counts = feature.of(SHIFTED.draw(random, (100, rows)) + shift)
        alarmed.append(rules.alarms(feature, counts, rows))
    return {"shift": shift, "rows": rows, OURS: round(float(np.mean(alarmed)), 4)}


def chance(plan: Plan, cache: RowCache, found: proof.Findings) -> None:
    """What PSI is where nothing has changed, by the number of rows."""

    def row_of(rows: int) -> Row:
        random = np.random.default_rng((SEED, rows))
        feature = Counted(SHIFTED, random, 6000)
        psi = rules.psi(feature.of(SHIFTED.draw(random, (plan.windows, rows))), feature.counts)
        critical = statistics.psi_critical(feature.feature.critical, rows, 6000)
        return {
            "rows": rows,
            "mean": round(float(psi.mean()), 4),
            "above": round(float((psi > rules.FIXED).mean()), 4),
            "critical": round(critical, 4),
            "aboveCritical": round(float((psi > critical).mean()), 4),
        }

    wanted = {f"{rows} rows": partial(row_of, rows) for rows in (50, 100, 200, 500, 1000, 5000)}
    found.numbers["chance"] = table = cache.collect("chance", wanted)
    for row in table:
        text = f"{row['mean']:.3f}; above 0.2: {row['above']:.1%}; critical value: {row['critical']:.3f}"
        found.note(f"{row['rows']} rows without drift: mean PSI", text)


def replicas(plan: Plan, cache: RowCache, found: proof.Findings) -> None:
    """The same rows on one replica and on twenty."""

    def row_of() -> Row:
        random = np.random.default_rng(SEED)
        feature = Counted(SHIFTED, random, 6000)
        off, each = [], []
        for _ in range(plan.windows // 10):
            drawn = SHIFTED.draw(random, (20, 100))
            counts = feature.of(drawn)
            one = statistics.psi(feature.of(drawn.reshape(1, -1))[0], feature.counts)
            off.append(abs(statistics.psi(counts.sum(axis=0), feature.counts) - one))
            each.append(rules.psi(counts, feature.counts))
        gauges = np.array(each)
        return {"off": max(off), "mean": float(gauges.mean()), "largest": float(gauges.max(axis=1).mean())}

    (row,) = cache.collect("replicas", {"of 100 rows": row_of})
    found.numbers["replicas"] = row
    found.claim("20 replicas: PSI of the sums less that of one replica", "0", f"{row['off']:g}", row["off"] == 0)
    text = f"mean {row['mean']:.3f}, largest {row['largest']:.3f}"
    found.note("20 replicas of 100 rows without drift: a PSI for each", text)


PARTS = (false_alarms, power, chance, replicas)


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Run all parts on one core. A full run that was stopped continues where it was, unless the code has changed."""
    found, plan = proof.Findings(), PLANS[size]
    found.numbers["plan"] = json.loads(json.dumps(asdict(plan)))
    sources = [
        Path(__file__),
        *(path for room in (profile, drift) for path in Path(str(room.__file__)).parent.glob("*.py")),
    ]
    cache = RowCache(
        (BUILD if size == "full" else folder) / "drift.jsonl", fingerprint=digest_of(sources, plan, rules.SETTINGS)
    )
    for part in PARTS:
        part(plan, cache, found)
    return found


if __name__ == "__main__":
    proof.run("drift", TITLE, prove)
