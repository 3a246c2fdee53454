"""Shows what `fairlead calibrate` has found: a table of the settings, and what to write where."""

from __future__ import annotations

from rich.console import Group
from rich.text import Text

from fairlead.calibration import advice
from fairlead.calibration.advice import Curve
from fairlead.calibration.points import NOTED_CORES
from fairlead.calibration.result import Result
from fairlead.cli.output import console, make_table, text
from fairlead.contracts.manifest import Batching

COLUMNS = ("BATCHING", "REQUESTS/S", "ROWS/S", "ALONE", "P95 GOAL", "IN FLIGHT", "CPU PER ROW", "MEMORY", "")


def show(found: Result, stated: Batching) -> None:
    """Print the table, the recommendation and the warnings."""
    best = found.recommended
    rows = [_row(found, one, best.curve if best else None, is_stated=one.batching == stated) for one in found.curves]
    how = f"one instance: threads {found.threads}, workers {found.workers}, {found.cpus} cores"
    lines = [f"{how}; {found.rows_per_request} row{'s' * (found.rows_per_request > 1)} per request", *_advice(found)]
    console().print(Group(make_table(COLUMNS, rows), Text(), text("\n".join(lines))))


def named(batching: Batching) -> str:
    """A setting in words."""
    if batching.max_rows == 1:
        return "off"
    wait = f", wait {batching.max_wait_ms:g} ms" if batching.max_wait_ms else ""
    return f"{batching.max_rows} rows{wait}"


def _row(found: Result, one: Curve, best: Curve | None, *, is_stated: bool) -> tuple[str, ...]:
    is_off = one.batching.max_rows > 1 and one.reason not in ("invariant", "")
    setting = f"off: {one.reason}" if is_off else named(one.batching)
    name = f"{setting}{' (manifest)' if is_stated else ''}"
    alone, goal = _ms(one.alone_s), _ms(one.goal_s)
    knee = one.knee
    if knee is None or not one.is_sure:
        known = f">= {one.highest_met:,.0f}" if one.highest_met else "-"
        return (name, known, "-", alone, goal, "-", "-", "-", one.why_unsure)
    return (
        name,
        f"{knee.rate:,.0f} ± {knee.spread:.0%}",
        f"{knee.rate * found.rows_per_request:,.0f}",
        alone,
        goal,
        f"{advice.in_flight_at(knee):.2g}",
        _ms(knee.met.cpu_per_request_s / found.rows_per_request),
        f"{knee.met.memory_bytes / 2**20:,.0f} MiB",
        "best" if one is best else "",
    )


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _advice(found: Result) -> list[str]:
    best = found.recommended
    if best is None:
        helps = dict.fromkeys(one.what_helps for one in found.curves)
        return [f"no number is sure, so nothing is recommended; what helps is {', and '.join(helps)}"]
    target = best.target_in_flight
    same = ", as the manifest has it" if best.curve is found.curves[0] else "; --write puts it into the manifest"
    lines = [
        f"batching: {named(best.curve.batching)}{same}",
        f"target: {target:g} requests in flight in a pod, two thirds of those at the knee. In the values of the chart:",
        f"  workload: {{autoscaling: {{target: {{inFlight: {target:g}}}}}}}",
    ]
    others = best.knee.met.others_cores
    if others > NOTED_CORES:
        lines.append(f"warning: other processes used {others:.1f} cores meanwhile: alone, the model may answer more")
    return lines
