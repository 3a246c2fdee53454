"""Draws the picture of docs/drift.md: `python -m docs.drift_picture` takes two minutes.

It runs a platform with two versions under load, whose inputs move after a while, and a Prometheus that scrapes it, and
draws what the queries of the dashboard *Fairlead / Drift* find. It is a real run, so no two pictures have the same
bytes.
"""

from __future__ import annotations

import re
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from docs.monitoring_picture import COLOURS, Line, draw_panel, lines_of, set_style
from monitoring.boards import dashboards
from monitoring.panels import Panel
from monitoring.rule_files import recording_rules
from monitoring.settings import DEFAULT, Drift
from support.drift.doublers import measure
from support.drift.requests import Drawn
from support.load.open_loop import OpenLoop
from support.platform import doublers, running_platform
from support.processes import wait_until
from support.prometheus import Prometheus, from_files, running_prometheus
from support.proof import RESULTS

PICTURE = RESULTS / "drift.svg"
SETTINGS = replace(DEFAULT, window="8s", drift=Drift(windows=(("20s", "2s"), ("60s", "2s")), shown_rows=100))
CHOICES = {"namespace": "default", "model": "doubler", "version": ".*", "feature": "value", "__rate_interval": "8s"}
BOARD = next(one for one in dashboards(SETTINGS) if one.uid == "fairlead-drift")
OVER_TIME = ("PSI over time", "Answers", "Inputs against stable's", "Independent rows")
TABLE, BARS = "PSI, 20s", "Now and in the reference"
RATE, SECONDS, MOVES_S, SHIFT = 60, 110, 55, 1.5
Cells = dict[tuple[str, str], float]
"""The values of a panel that shows what is now, by two of its labels."""


@dataclass(frozen=True)
class Found:
    """What the queries of the shown panels have found, after `seconds`."""

    lines: list[tuple[Panel, list[Line]]]
    table: Cells
    bars: Cells
    seconds: float


def play(folder: Path) -> Found:
    """Run everything. The inputs of both versions move after MOVES_S seconds."""
    strategy = {"steps": [{"weight": 5000, "minDuration": "10m"}], "minRequests": 0}
    models = doublers(folder, "1.0.0", "1.1.0", strategy=strategy)
    for version in ("1.0.0", "1.1.0"):
        measure(folder / "models" / "doubler" / version)
    with ExitStack() as stack:
        platform = stack.enter_context(running_platform(folder, models))
        targets = from_files(folder / ".fairlead" / "prometheus-targets.json")
        prometheus = stack.enter_context(
            running_prometheus(folder / "prometheus", [targets], interval="2s", rules=[recording_rules(SETTINGS)])
        )
        platform.command("release", "doubler", "1.1.0")
        platform.wait_for("doubler", "the candidate has its share", weight=5000)
        began = time.time()
        rows = Drawn(shift=SHIFT, since=RATE * MOVES_S)
        stack.enter_context(OpenLoop(platform.url, rate=RATE, seconds=SECONDS + 20, request=rows))
        wait_until(lambda: time.time() > began + SECONDS, "all has been seen", within=2 * SECONDS, every=1)
        took = time.time() - began
        panels = {panel.title: panel for row in BOARD.rows for panel in row.panels}
        return Found(
            [(panels[title], lines_of(prometheus, panels[title], took, CHOICES)) for title in OVER_TIME],
            now(prometheus, panels[TABLE], "feature", "version"),
            now(prometheus, panels[BARS], "bin", "shown"),
            took,
        )


def now(prometheus: Prometheus, panel: Panel, down: str, across: str) -> Cells:
    """What a panel shows of this moment."""
    (query,) = panel.queries
    expression = re.sub(r"\$([a-z_]\w*)", lambda name: CHOICES[name[1]], query.expression)
    return {
        (one["metric"][down], one["metric"][across]): float(one["value"][1]) for one in prometheus.query(expression)
    }


def draw() -> None:
    """Run it, and write the picture."""
    with tempfile.TemporaryDirectory() as folder:
        found = play(Path(folder))
    set_style()
    figure, axes = pyplot.subplots(2, 3, figsize=(12, 5.6), layout="constrained")
    places = axes.flat
    _table(next(places), found.table)
    _bars(next(places), found.bars)
    for (panel, lines), at in zip(found.lines, places, strict=True):
        draw_panel(at, panel, lines, found.seconds)
        at.axvline(MOVES_S, color="#8a8a8a", linewidth=0.8, linestyle="dotted")
    figure.suptitle("Fairlead / Drift: the inputs of both versions move", x=0.01, ha="left", weight="bold")
    figure.savefig(PICTURE, metadata={"Date": None, "Creator": None})


def _table(axes: Axes, cells: Cells) -> None:
    """Cells in green, yellow and red, as on the dashboard."""
    downs, acrosses = (sorted({key[at] for key in cells}) for at in (0, 1))
    drift = SETTINGS.drift
    for (feature, version), value in cells.items():
        colour = "#c4e3c1" if value < drift.answer_floor else "#fbe29d" if value < drift.input_floor else "#f2a29b"
        down, across = downs.index(feature), acrosses.index(version)
        axes.add_patch(Rectangle((across - 0.48, down - 0.46), 0.96, 0.92, color=colour))
        axes.text(across, down, f"{value:.2f}", ha="center", va="center")
    axes.set(xlim=(-0.5, len(acrosses) - 0.5), ylim=(len(downs) - 0.5, -0.5))
    axes.set_xticks(range(len(acrosses)), acrosses)
    axes.set_yticks(range(len(downs)), downs)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(TABLE, loc="left", fontsize=9, weight="bold")


def _bars(axes: Axes, cells: Cells) -> None:
    """The bins side by side. One version's reference stands for both: it is the same."""
    names = sorted({name for _, name in cells if not name.endswith("1.1.0 reference")})
    middle = sorted({place for place, _ in cells if place.isdigit()})
    order = ["lo", *middle, "hi", "na"]
    for at, name in enumerate(names):
        heights = [cells.get((place, name), 0) for place in order]
        left = [number + 0.27 * (at - 1) for number in range(len(order))]
        axes.bar(left, heights, 0.25, color=COLOURS[at] if "now" in name else "#c8c8c8", label=name)
    axes.set_xticks(range(len(order)), order)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=7, loc="best")
    axes.set_title(f"{BARS}, value", loc="left", fontsize=9, weight="bold")


if __name__ == "__main__":
    draw()
