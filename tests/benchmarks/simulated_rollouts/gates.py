"""The other gates, latency at all medians, and how long the preset `strict` needs to prove a candidate safe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from benchmarks.simulated_rollouts.outcomes import OURS, SEED, SHARE, Plan, each, outcome, seconds_of, text_of
from fairlead.rollout.analysis import multiple_comparisons
from fairlead.rollout.analysis.comparison import UNKNOWN, Margins
from support import proof
from support.rollouts import rules
from support.rollouts.rules import ALPHA
from support.rollouts.simulated_counts import Cell, Floats, simulate, simulate_classes, simulate_latency
from support.row_cache import Row, RowCache

BOUNDARIES = np.array([0.008, 0.032, 0.128, 0.512, 2.048])
MIX, MOVED = np.array([0.6, 0.3, 0.1]), np.array([0.45, 0.3, 0.25])


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
        what, text = f"{row['rps']:g}/s, {row['what']}", text_of(row)
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
    slowest = max(seconds_of(row) for row in results if row["slower"] == 2)
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

    found.numbers["promotion"] = results = rows.collect("promotion", each(cells, row_of))
    for row in results:
        shown, of = row["rolledBack"], f"{row['rps']:g}/s, a candidate that is {row['what']}"
        seconds = f", median {row['seconds']:g} s" if row["seconds"] else ""
        if row["what"] == "good":
            found.note(f"{of}: shown to be safe", f"{shown:.1%}{seconds}")
        else:
            found.claim(f"{of}: called safe", f"at most {rules.BETA:.0%}", f"{shown:.1%}", shown <= rules.BETA)
