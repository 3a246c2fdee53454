"""Simulates false alarms and time to roll back, with the engine's own mathematics and with the rules of other tools.

The module is not named `statistics`: a script's folder comes first on Python's path, and would hide the standard
library's module of that name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.rollout import analysis
from fairlead.rollout.analysis import multiple_comparisons
from fairlead.rollout.analysis.comparison import UNKNOWN, Margins
from support import proof
from support.rollouts import rules
from support.rollouts.rules import ALPHA, Ints
from support.rollouts.simulated_counts import (
    IID,
    LASTING,
    NUISANCES,
    WINDOW_S,
    WINDOWS,
    Cell,
    Counted,
    Floats,
    simulate,
    simulate_classes,
    simulate_latency,
)
from support.row_cache import Row, RowCache, digest_of

TITLE = "simulated rollouts: false alarms and time to roll back"
SEED = 20261121
SHARE = 1 / 3
"""The share of the release's alpha for one of three gates of equal weight. 1 is a gate that has all of alpha."""
OURS, WHOLE, BARE = "fairlead, a third of alpha", "fairlead, all of alpha", "fairlead, no margin"
REQUESTS, ALL_REQUESTS = "requests alone, a third of alpha", "requests alone, all of alpha"
"""The same without the windows: what harm would be found by the evidence of the requests."""
CLUMPED = 0.015
"""The share of false alarms that is tolerated where failures of a window are correlated."""
LOST = 0.03
"""So much less of the bad candidates may be found with the windows than by the requests alone."""
BOUNDARIES = np.array([0.008, 0.032, 0.128, 0.512, 2.048])
MIX, MOVED = np.array([0.6, 0.3, 0.1]), np.array([0.45, 0.3, 0.25])
BUILD = Path(__file__).resolve().parents[2] / "build"


@dataclass(frozen=True)
class Plan:
    """The grid of simulated cells, and the number of rollouts in each. The field names are keys of the JSON result."""

    rollouts: int
    rates: Sequence[float]
    baselines: Sequence[float]
    nuisances: Sequence[str]
    worse: Sequence[float]
    medians_s: Sequence[float]
    rivals: Sequence[str]
    lasting: Sequence[str]
    """Clumps that last longer than a window."""
    late_s: Sequence[float]
    """How long a candidate is good before it becomes bad."""


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


@dataclass(frozen=True)
class Outcome:
    """The result of one rule in one cell."""

    rule: str
    rolled_back: float
    """The share of the rollouts that were rolled back."""
    seconds: float | None
    """The median time to roll back; None if fewer than half of the rollouts were rolled back."""
    requests: float | None
    """The median number of the candidate's requests until then."""
    harmed: float | None
    """The mean number of bad responses until then, in excess of stable's error rate."""

    def to_json(self) -> dict[str, Any]:
        """The row of the JSON result."""
        return {
            "rule": self.rule,
            "rolledBack": round(self.rolled_back, 4),
            "seconds": self.seconds,
            "requests": self.requests,
            "harmed": self.harmed,
        }


def outcome(rule: str, first: Ints, counted: Counted, excess: float) -> Outcome:
    """The outcome, from the window in which each rollout was rolled back. `excess` is the true excess error rate."""
    ended = first < WINDOWS
    share = float(ended.mean())
    if share < 0.5:
        return Outcome(rule, share, None, None, None)
    n = counted.candidate_n if counted.candidate_n.ndim == 2 else counted.candidate_n[..., 0]
    spent = n.cumsum(axis=0)[np.minimum(first, WINDOWS - 1), np.arange(n.shape[1])]
    seconds = float(np.median(np.where(ended, (first + 1) * WINDOW_S, np.inf)))
    return Outcome(rule, share, seconds, float(np.median(spent[ended])), round(float(spent.mean()) * excess, 1))


def judged(cell: Cell, counted: Counted, rivals: Sequence[str], *, bare: bool = True) -> list[Outcome]:
    """The outcomes of Fairlead's rules and the other rules on the same counts."""
    excess = max(0.0, cell.bad - cell.baseline)
    ours = rules.evidence(counted, margins=Margins(), shares=(SHARE, 1.0))
    firsts = {OURS: ours.harmed[SHARE], WHOLE: ours.harmed[1.0]}
    firsts |= {REQUESTS: ours.of_requests[SHARE], ALL_REQUESTS: ours.of_requests[1.0]}
    if bare:
        firsts[BARE] = rules.evidence(counted, margins=Margins(floor=0.0, share=0.0), shares=(1.0,)).harmed[1.0]
    firsts |= {name: rules.RIVALS[name](counted) for name in rivals}
    return [outcome(name, first, counted, excess) for name, first in firsts.items()]


def false_alarms(plan: Plan, rows: RowCache, found: proof.Findings) -> None:
    """A/A: both versions are the same, so every rollback is a false alarm."""
    cells = [
        Cell(rps, baseline, baseline, nuisance)
        for nuisance in plan.nuisances
        for rps in plan.rates
        for baseline in plan.baselines
    ]
    found.numbers["aa"] = results = rows.collect("false alarms", _each(cells, partial(_alarm, plan)))
    for nuisance in plan.nuisances:
        mine = [row for row in results if row["nuisance"] == nuisance]
        worst = max(mine, key=lambda row: _of(row, WHOLE)["rolledBack"])
        share = _of(worst, WHOLE)["rolledBack"]
        most = ALPHA if nuisance in IID else CLUMPED
        what = f"A/A, {nuisance}: rolled back wrongly, worst of {len(mine)} cells"
        found.claim(what, f"at most {most:.1%}", f"{share:.1%} ({_where(worst)})", share <= most)
        alone = max(_of(row, ALL_REQUESTS)["rolledBack"] for row in mine)
        found.note(f"A/A, {nuisance}: by the evidence of the requests alone, worst cell", f"{alone:.1%}")
        worst_of = {rule: max(_of(row, rule)["rolledBack"] for row in mine) for rule in plan.rivals}
        others = "; ".join(f"{rule}: {share:.1%}" for rule, share in worst_of.items())
        found.note(f"A/A, {nuisance}: the others, worst cell of each", others)


def _alarm(plan: Plan, cell: Cell) -> Row:
    return _row(cell, judged(cell, simulate(cell, plan.rollouts, SEED), plan.rivals))


def lasting_clumps(plan: Plan, rows: RowCache, found: proof.Findings) -> None:
    """A/A with clumps that last longer than a window: no window says that ten others only repeat it."""
    cells = [
        Cell(rps, baseline, baseline, nuisance)
        for nuisance in plan.lasting
        for rps in plan.rates
        for baseline in plan.baselines
    ]
    found.numbers["lasting"] = results = rows.collect("lasting clumps", _each(cells, partial(_alarm, plan)))
    for nuisance in plan.lasting:
        worst_of = {
            rule: max(
                (row for row in results if row["nuisance"] == nuisance), key=lambda row: _of(row, rule)["rolledBack"]
            )
            for rule in (WHOLE, ALL_REQUESTS)
        }
        shown = {rule: f"{_of(row, rule)['rolledBack']:.1%} ({_where(row)})" for rule, row in worst_of.items()}
        found.note(f"A/A, {nuisance}: rolled back wrongly, worst cell", shown[WHOLE])
        found.note(f"A/A, {nuisance}: by the evidence of the requests alone, worst cell", shown[ALL_REQUESTS])


def power(plan: Plan, rows: RowCache, found: proof.Findings) -> None:
    """Errors at 10 % of the traffic, from a baseline of 0.2 %."""
    cells = [Cell(rps, 0.002, bad) for rps in plan.rates for bad in plan.worse]

    def row_of(cell: Cell) -> Row:
        return _row(cell, judged(cell, simulate(cell, plan.rollouts, SEED), plan.rivals))

    found.numbers["errors"] = results = rows.collect("errors", _each(cells, row_of))
    limits = ((20, 0.05, 80), (50, 0.05, 40), *((rps, 0.5, 15) for rps in (20, 50, 200)))
    for rps, bad, most in limits:
        for row in results:
            if (row["rps"], row["bad"]) == (rps, bad):
                seconds, alone = _of(row, OURS)["seconds"], _of(row, REQUESTS)["seconds"]
                found.claim(
                    f"{rps}/s, 10 %, errors 0.2 -> {100 * bad:g} %: median seconds to roll back",
                    f"at most {most}",
                    f"{seconds:g} (requests alone: {alone:g})" if seconds else "never",
                    seconds is not None and seconds <= most,
                )
    _claim_nothing_lost(found, "errors", results)
    for row in results:
        ours = _of(row, OURS)
        found.note(f"{row['cell']}: fairlead", _outcome_text(ours))
        sooner = [one for one in (_of(row, rule) for rule in plan.rivals) if _seconds(one) < _seconds(ours)]
        if sooner:
            text = "; ".join(f"{one['rule']}: {_outcome_text(one)}" for one in sooner)
            found.note(f"{row['cell']}: sooner", text)


def overdispersed_power(plan: Plan, rows: RowCache, found: proof.Findings) -> None:
    """Errors of the candidate while both versions' failures are correlated: what the correction for it costs."""
    nuisances = [one for one in plan.nuisances if one not in IID]
    cells = [
        Cell(rps, baseline, bad, nuisance)
        for nuisance in nuisances
        for rps in plan.rates
        for baseline, bad in ((0.002, 0.05), (0.01, 0.1), (0.05, 0.5))
    ]

    def row_of(cell: Cell) -> Row:
        return _row(cell, judged(cell, simulate(cell, plan.rollouts, SEED), (), bare=False))

    found.numbers["clumpedErrors"] = results = rows.collect("clumped errors", _each(cells, row_of))
    if not results:
        return
    _claim_nothing_lost(found, "correlated errors", results)
    for row in results:
        text = f"{_outcome_text(_of(row, OURS))}; requests alone: {_outcome_text(_of(row, REQUESTS))}"
        found.note(f"{row['cell']}: fairlead", text)


def late_faults(plan: Plan, rows: RowCache, found: proof.Findings) -> None:
    """A candidate that is good for minutes and then fails: the bettors on windows must not be broke by then."""
    cells = [
        (late, Cell(rps, baseline, bad, nuisance))
        for late in plan.late_s
        for rps, baseline, bad, nuisance in (
            (20, 0.002, 0.05, "stationary"),
            (20, 0.002, 0.5, "stationary"),
            (50, 0.002, 0.05, "stationary"),
            (200, 0.01, 0.1, "stationary"),
            (200, 0.01, 0.5, "stationary"),
            (200, 0.01, 0.1, "overdispersion 1"),
        )
    ]

    def row_of(late: float, cell: Cell) -> Row:
        windows = int(late) // WINDOW_S
        good = simulate(Cell(cell.rps, cell.baseline, cell.baseline, cell.nuisance), plan.rollouts, SEED)
        counted = simulate(cell, plan.rollouts, SEED + 1).begun_by(good, windows)
        ours = rules.evidence(counted, margins=Margins(), shares=(SHARE,))
        firsts = {OURS: ours.harmed[SHARE], REQUESTS: ours.of_requests[SHARE]}
        seconds = {
            rule: _median_s(np.where(first < windows, WINDOWS, first - windows)) for rule, first in firsts.items()
        }
        return {"cell": cell.name, "goodS": late, "seconds": seconds}

    wanted = {f"after {late:g} s, {cell.name}": partial(row_of, late, cell) for late, cell in cells}
    found.numbers["lateErrors"] = results = rows.collect("late errors", wanted)
    for row in results:
        ours, alone = row["seconds"][OURS], row["seconds"][REQUESTS]
        found.note(f"{row['cell']}, after {row['goodS']:g} s: median seconds", f"{ours}; requests alone: {alone}")


def _median_s(first: Ints) -> float | None:
    found = (first < WINDOWS // 2).mean() >= 0.5
    return float(np.median(np.where(first < WINDOWS, (first + 1) * WINDOW_S, np.inf))) if found else None


def _claim_nothing_lost(found: proof.Findings, what: str, results: Sequence[Row]) -> None:
    lost = {row["cell"]: _of(row, REQUESTS)["rolledBack"] - _of(row, OURS)["rolledBack"] for row in results}
    most = max(lost, key=lambda cell: lost[cell])
    found.claim(
        f"{what}: found less often than by the requests alone, worst of {len(lost)} cells",
        f"at most {100 * LOST:g} points",
        f"{100 * lost[most]:.1f} ({most})",
        lost[most] <= LOST,
    )


def other_gates(plan: Plan, rows: RowCache, found: proof.Findings) -> None:
    """Doubled latency, a shifted class mix and a renamed field; and the false alarms of these gates without a fault."""
    faults: Mapping[str, Callable[[float], Row]] = {
        "latency as before": partial(_latency, plan, 1.0),
        "latency doubled": partial(_latency, plan, 2.0),
        "classes as before": partial(_classes, plan, MIX),
        "a class moved by 15 points": partial(_classes, plan, MOVED),
        "a renamed field (4xx)": partial(_renamed, plan),
    }

    def row_of(rps: float, what: str) -> Row:
        return {"what": what, "rps": rps, **faults[what](rps)}

    wanted = {f"{rps:g}/s, {what}": partial(row_of, rps, what) for rps in plan.rates for what in faults}
    results = rows.collect("other gates", wanted)
    found.numbers["otherGates"] = results
    for row in results:
        what, text = f"{row['rps']:g}/s, {row['what']}", _outcome_text(row)
        if row["what"].endswith("as before"):
            found.claim(f"{what}: rolled back wrongly", f"at most {ALPHA:.0%}", text, row["rolledBack"] <= ALPHA)
        else:
            found.note(what, text)


def latencies(plan: Plan, rows: RowCache, found: proof.Findings) -> None:
    """Latency at 50 requests/s and 10 %, for medians from far below the boundaries to far above them."""

    def row_of(median_s: float, slower: float) -> Row:
        return {"medianS": median_s, "slower": slower, **_latency(plan, slower, 50, median_s=median_s)}

    wanted = {f"{at:g} s, times {more:g}": partial(row_of, at, more) for at in plan.medians_s for more in (1.0, 2.0)}
    found.numbers["latencies"] = results = rows.collect("latencies", wanted)
    wrongly = max(row["rolledBack"] for row in results if row["slower"] == 1)
    found.claim(
        f"50/s, latency as before, {len(plan.medians_s)} medians: rolled back wrongly, worst",
        f"at most {ALPHA:.0%}",
        f"{wrongly:.1%}",
        wrongly <= ALPHA,
    )
    slowest = max(_seconds(row) for row in results if row["slower"] == 2)
    found.claim(
        f"50/s, latency doubled, {len(plan.medians_s)} medians: median seconds to roll back, worst",
        "at most 60",
        f"{slowest:g}",
        slowest <= 60,
    )


def _latency(plan: Plan, slower: float, rps: float, *, median_s: float = 0.04) -> Row:
    """The outcome of the latency gate. Every request of a slower candidate counts as harmed."""
    counted = simulate_latency(Cell(rps, 0.002, 0.002), slower, BOUNDARIES, plan.rollouts, SEED, median_s=median_s)
    ours = rules.evidence(
        counted, margins=Margins(), shares=(SHARE,), advance=multiple_comparisons.advance_latency, prior=UNKNOWN
    )
    return outcome(OURS, ours.harmed[SHARE], counted, float(slower > 1)).to_json()


def _classes(plan: Plan, mix: Floats, rps: float) -> Row:
    counted = simulate_classes(Cell(rps, 0.002, 0.002), MIX, mix, plan.rollouts, SEED)
    ours = rules.evidence(
        counted,
        margins=Margins(floor=0.05),
        shares=(SHARE,),
        advance=multiple_comparisons.advance_classes,
        prior=UNKNOWN,
        width=2,
    )
    return outcome(OURS, ours.harmed[SHARE], counted, float(np.abs(mix - MIX).sum() / 2)).to_json()


def _renamed(plan: Plan, rps: float) -> Row:
    """The outcome of a renamed field that half of the users send: these requests are rejected."""
    counted = simulate(Cell(rps, 0.01, 0.5), plan.rollouts, SEED)
    ours = rules.evidence(counted, margins=Margins(), shares=(SHARE,))
    return outcome(OURS, ours.harmed[SHARE], counted, 0.49).to_json()


def promotion(plan: Plan, rows: RowCache, found: proof.Findings) -> None:
    """How long the preset `strict` needs to prove a good candidate safe, and how often it proves a bad one safe."""
    cells = [Cell(rps, 0.002, bad) for rps in plan.rates for bad in (0.002, 0.002 + 0.01 + 0.002)]

    def row_of(cell: Cell) -> Row:
        counted = simulate(cell, plan.rollouts, SEED)
        proven = rules.evidence(counted, margins=Margins(), shares=()).proven
        name = "good" if cell.bad == cell.baseline else "unacceptable"
        return {"what": name, "rps": cell.rps, **outcome("safe", proven, counted, 0).to_json()}

    found.numbers["promotion"] = results = rows.collect("promotion", _each(cells, row_of))
    for row in results:
        shown, of = row["rolledBack"], f"{row['rps']:g}/s, a candidate that is {row['what']}"
        seconds = f", median {row['seconds']:g} s" if row["seconds"] else ""
        if row["what"] == "good":
            found.note(f"{of}: shown to be safe", f"{shown:.1%}{seconds}")
        else:
            found.claim(f"{of}: called safe", f"at most {rules.BETA:.0%}", f"{shown:.1%}", shown <= rules.BETA)


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
    sources = [Path(__file__), *Path(rules.__file__).parent.glob("*.py"), *Path(analysis.__file__).parent.glob("*.py")]
    rows = RowCache(
        (BUILD if size == "full" else folder) / "rollout_statistics.jsonl", fingerprint=digest_of(sources, plan)
    )
    for part in PARTS:
        part(plan, rows, found)
    return found


def _each(cells: Sequence[Cell], row_of: Callable[[Cell], Row]) -> Mapping[str, Callable[[], Row]]:
    return {cell.name: partial(row_of, cell) for cell in cells}


def _where(row: Row) -> str:
    return f"{row['rps']:g}/s, {row['baseline']:.1%}"


def _row(cell: Cell, outcomes: Sequence[Outcome]) -> Row:
    where = {"cell": cell.name, "rps": cell.rps, "baseline": cell.baseline, "bad": cell.bad, "nuisance": cell.nuisance}
    return {**where, "outcomes": [one.to_json() for one in outcomes]}


def _of(row: Row, rule: str) -> Row:
    found: Row = next(one for one in row["outcomes"] if one["rule"] == rule)
    return found


def _seconds(one: Row) -> float:
    return float(one["seconds"] or "inf")


def _outcome_text(one: Row) -> str:
    if one["seconds"] is None:
        return f"{one['rolledBack']:.1%}"
    return f"{one['rolledBack']:.1%}, {one['seconds']:g} s, {one['requests']:g} requests, {one['harmed']:g} harmed"


if __name__ == "__main__":
    proof.run("rollout_statistics", TITLE, prove)
