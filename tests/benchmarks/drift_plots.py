"""Draws the picture of the simulated weeks from the JSON result of the last full run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.patches import Rectangle  # noqa: E402

from support.proof import RESULTS  # noqa: E402

RULES = {
    "fairlead": "Fairlead's alerts",
    "PSI above 0.2": "PSI above 0.2",
    "Evidently, any column": "Evidently's default, any column",
    "Evidently, half of the columns": "Evidently's default, half of the columns",
}
SHADES = ((0.01, "#dcebf5"), (0.05, "#fde3cc"), (0.5, "#f6b37f"), (1.0, "#e5793b"))
"""Colours of the squares: (maximum share of false alarms, colour)."""
INK, GREY = "#222222", "#8a8a8a"
COLOURS = ("#8a8a8a", "#0072b2", "#009e73")


def draw(results: Path = RESULTS) -> Path:
    """Write the picture to the folder of the results. Returns its path."""
    numbers = json.loads((results / "drift.json").read_text())["numbers"]
    picture = results / "drift_simulated.svg"
    with matplotlib.rc_context():
        # Text stays text in the SVG, and the same numbers give the same bytes.
        matplotlib.rc("svg", fonttype="none", hashsalt="fairlead")
        matplotlib.rc("text", color=INK)
        figure, (left, right) = pyplot.subplots(1, 2, figsize=(13, 4), width_ratios=(1.9, 1), layout="constrained")
        _false_alarms(left, numbers["falseAlarms"])
        _power(right, numbers["power"])
        figure.savefig(picture, metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
    return picture


def _false_alarms(axes: Axes, cells: list[dict[str, Any]]) -> None:
    """One square for each rule and kind of traffic."""
    for down, rule in enumerate(RULES):
        for across, cell in enumerate(cells):
            colour = next(colour for limit, colour in SHADES if cell[rule] <= limit)
            axes.add_patch(Rectangle((across - 0.48, down - 0.45), 0.96, 0.9, color=colour))
            axes.text(across, down, f"{100 * cell[rule]:.3g}", ha="center", va="center", fontsize=11)
    axes.set(xlim=(-0.55, len(cells) - 0.45), ylim=(len(RULES) - 0.45, -0.55))
    shorter = ((" an hour", "/h"), (", a reference of", "\nreference:\n"), (" of 20 equal", "\nof 20\nequal"))
    names = [cell["cell"] for cell in cells]
    for long, short in shorter:
        names = [name.replace(long, short) for name in names]
    axes.set_xticks(range(len(cells)), names, fontsize=9)
    axes.set_yticks(range(len(RULES)), RULES.values(), fontsize=10)
    axes.get_yticklabels()[0].set_fontweight("bold")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title("Of 100 weeks in which nothing changes, how many have a false alarm?", fontsize=11)


def _power(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """How often the conditions of the alert hold, by the rows of an hour."""
    shifts = sorted({row["shift"] for row in rows})
    for shift, colour in zip(shifts, COLOURS, strict=False):
        mine = [row for row in rows if row["shift"] == shift]
        found = [100 * row["fairlead"] for row in mine]
        label = f"by {shift:g} standard deviations"
        axes.plot([row["rows"] for row in mine], found, color=colour, marker="o", markersize=3, label=label)
    axes.set_xscale("log")
    ticks = sorted({row["rows"] for row in rows} & {200, 501, 1000, 2000, 5000})
    axes.set_xticks(ticks, [f"{one}" for one in ticks], minor=False)
    axes.set_xticks([], minor=True)
    axes.set_xlabel("rows in an hour", color=GREY)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} %")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="center right")
    axes.set_title("One input of 20 moves: how often is it found?", fontsize=11)


if __name__ == "__main__":
    print(draw())
