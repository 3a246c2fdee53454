"""Errors: false alarms without and with clumps, and the time until a bad candidate is rolled back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from benchmarks.simulated_rollouts.outcomes import (
    ALL_REQUESTS,
    OURS,
    REQUESTS,
    SEED,
    SHARE,
    WHOLE,
    Plan,
    each,
    judged,
    of_rule,
    row_of_cell,
    seconds_of,
    text_of,
    where,
)
from fairlead.rollout.analysis.comparison import Margins
from support import proof
from support.rollouts import rules
from support.rollouts.rules import ALPHA, Ints
from support.rollouts.simulated_counts import IID, WINDOW_S, WINDOWS, Cell, simulate
from support.row_cache import Row, RowCache

CLUMPED = 0.015
"""The share of false alarms that is tolerated where failures of a window are correlated."""
LOST = 0.03
"""So much less of the bad candidates may be found with the windows than by the requests alone."""


def false_alarms(plan: Plan, rows: RowCache, found: proof.Findings) -> None:
    """A/A: both versions are the same, so every rollback is a false alarm."""
    found.numbers["aa"] = results = rows.collect("false alarms", _alarms(plan, plan.nuisances))
    for nuisance in plan.nuisances:
        mine = [row for row in results if row["nuisance"] == nuisance]
        worst = max(mine, key=lambda row: of_rule(row, WHOLE)["rolledBack"])
        share = of_rule(worst, WHOLE)["rolledBack"]
        most = ALPHA if nuisance in IID else CLUMPED
        what = f"A/A, {nuisance}: rolled back wrongly, worst of {len(mine)} cells"
        found.claim(what, f"at most {most:.1%}", f"{share:.1%} ({where(worst)})", share <= most)
        alone = max(of_rule(row, ALL_REQUESTS)["rolledBack"] for row in mine)
        found.note(f"A/A, {nuisance}: by the evidence of the requests alone, worst cell", f"{alone:.1%}")
        worst_of = {rule: max(of_rule(row, rule)["rolledBack"] for row in mine) for rule in plan.rivals}
        others = "; ".join(f"{rule}: {share:.1%}" for rule, share in worst_of.items())
        found.note(f"A/A, {nuisance}: the others, worst cell of each", others)


def _alarms(plan: Plan, nuisances: Sequence[str]) -> Mapping[str, Callable[[], Row]]:
    """The work of each cell in which both versions are the same."""
    cells = [
        Cell(rps, baseline, baseline, nuisance)
        for nuisance in nuisances
        for rps in plan.rates
        for baseline in plan.baselines
    ]
    return each(cells, partial(_alarm, plan))


def _alarm(plan: Plan, cell: Cell) -> Row:
    return row_of_cell(cell, judged(cell, simulate(cell, plan.rollouts, SEED), plan.rivals))


def lasting_clumps(plan: Plan, rows: RowCache, found: proof.Findings) -> None:
    """A/A with clumps that last longer than a window: no window says that ten others only repeat it."""
    found.numbers["lasting"] = results = rows.collect("lasting clumps", _alarms(plan, plan.lasting))
    for nuisance in plan.lasting:
        mine = [row for row in results if row["nuisance"] == nuisance]
        worst_of = {rule: max(mine, key=lambda row: of_rule(row, rule)["rolledBack"]) for rule in (WHOLE, ALL_REQUESTS)}
        shown = {rule: f"{of_rule(row, rule)['rolledBack']:.1%} ({where(row)})" for rule, row in worst_of.items()}
        found.note(f"A/A, {nuisance}: rolled back wrongly, worst cell", shown[WHOLE])
        found.note(f"A/A, {nuisance}: by the evidence of the requests alone, worst cell", shown[ALL_REQUESTS])


def power(plan: Plan, rows: RowCache, found: proof.Findings) -> None:
    """Errors at 10 % of the traffic, from a baseline of 0.2 %."""
    cells = [Cell(rps, 0.002, bad) for rps in plan.rates for bad in plan.worse]

    def row_of(cell: Cell) -> Row:
        return row_of_cell(cell, judged(cell, simulate(cell, plan.rollouts, SEED), plan.rivals))

    found.numbers["errors"] = results = rows.collect("errors", each(cells, row_of))
    limits = ((20, 0.05, 80), (50, 0.05, 40), *((rps, 0.5, 15) for rps in (20, 50, 200)))
    for rps, bad, most in limits:
        for row in results:
            if (row["rps"], row["bad"]) == (rps, bad):
                seconds, alone = of_rule(row, OURS)["seconds"], of_rule(row, REQUESTS)["seconds"]
                found.claim(
                    f"{rps}/s, 10 %, errors 0.2 -> {100 * bad:g} %: median seconds to roll back",
                    f"at most {most}",
                    f"{seconds:g} (requests alone: {alone:g})" if seconds else "never",
                    seconds is not None and seconds <= most,
                )
    _claim_nothing_lost(found, "errors", results)
    for row in results:
        ours = of_rule(row, OURS)
        found.note(f"{row['cell']}: fairlead", text_of(ours))
        sooner = [one for one in (of_rule(row, rule) for rule in plan.rivals) if seconds_of(one) < seconds_of(ours)]
        if sooner:
            text = "; ".join(f"{one['rule']}: {text_of(one)}" for one in sooner)
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
        return row_of_cell(cell, judged(cell, simulate(cell, plan.rollouts, SEED), (), bare=False))

    found.numbers["clumpedErrors"] = results = rows.collect("clumped errors", each(cells, row_of))
    if not results:
        return
    _claim_nothing_lost(found, "correlated errors", results)
    for row in results:
        text = f"{text_of(of_rule(row, OURS))}; requests alone: {text_of(of_rule(row, REQUESTS))}"
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
    lost = {row["cell"]: of_rule(row, REQUESTS)["rolledBack"] - of_rule(row, OURS)["rolledBack"] for row in results}
    most = max(lost, key=lambda cell: lost[cell])
    found.claim(
        f"{what}: found less often than by the requests alone, worst of {len(lost)} cells",
        f"at most {100 * LOST:g} points",
        f"{100 * lost[most]:.1f} ({most})",
        lost[most] <= LOST,
    )
