"""Draws the pictures of the simulated rollouts from the JSON result of the last full run."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.patches import Rectangle  # noqa: E402

from support.proof import RESULTS  # noqa: E402
from support.row_cache import Row  # noqa: E402

OURS = "fairlead, a third of alpha"
SHOWN = {
    "fairlead, all of alpha": "Fairlead",
    "requests alone, all of alpha": "Fairlead, requests alone",
    "fairlead, no margin": "Fairlead, no margin",
    "Argo >= 99 %, 1 m, limit 0": "Argo: 99 %, each minute, limit 0",
    "Argo >= 95 %, 5 m, limit 3": "Argo: 95 %, 5 minutes, limit 3",
    "Flagger >= 99 %, 1 m, threshold 5": "Flagger: 99 %, each minute, threshold 5",
    "Kayenta-like": "Kayenta-like",
    "z-test, peeked each minute": "z-test, looked at each minute",
    "asymptotic sequence on totals": "asymptotic sequence on totals",
}
INK, ACCENT, FAULT, GREY = "#222222", "#0072b2", "#d55e00", "#8a8a8a"
SHADES = ((0.01, "#dcebf5"), (0.05, "#fde3cc"), (0.2, "#f6b37f"), (1.0, "#e5793b"))
"""Colours of the squares: (maximum share of false alarms, colour). The first share is alpha."""
MARKS = "osD^vP"


def draw(results: Path = RESULTS) -> list[Path]:
    """Write both pictures to the folder of the results. Returns their paths."""
    numbers = json.loads((results / "rollout_statistics.json").read_text())["numbers"]
    pictures = [results / "rollout_statistics_false_alarms.svg", results / "rollout_statistics_time.svg"]
    with matplotlib.rc_context():
        # Text stays text in the SVG, and the same numbers give the same bytes.
        matplotlib.rc("svg", fonttype="none", hashsalt="fairlead")
        matplotlib.rc("text", color=INK)
        _write(_false_alarms(numbers["aa"]), pictures[0])
        _write(_times(numbers["errors"]), pictures[1])
    return pictures


def _write(figure: Figure, to: Path) -> None:
    figure.savefig(to, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)


def _false_alarms(rows: list[Row]) -> Figure:
    """One square for each rule and disturbance, with the worst of its cells."""
    rules = [one["rule"] for one in rows[0]["outcomes"] if one["rule"] in SHOWN]
    nuisances = list(dict.fromkeys(row["nuisance"] for row in rows))
    figure, axes = pyplot.subplots(figsize=(11, 1.6 + 0.48 * len(rules)), layout="constrained")
    for down, rule in enumerate(rules):
        for across, nuisance in enumerate(nuisances):
            share = max(_of(row, rule)["rolledBack"] for row in rows if row["nuisance"] == nuisance)
            colour = next(colour for limit, colour in SHADES if share <= limit)
            axes.add_patch(Rectangle((across - 0.48, down - 0.45), 0.96, 0.9, color=colour))
            axes.text(across, down, f"{100 * share:.1f}", ha="center", va="center", fontsize=11)
    axes.set(xlim=(-0.55, len(nuisances) - 0.45), ylim=(len(rules) - 0.45, -0.55))
    named = [name.replace("overdispersion", "clumps").replace(" ", "\n", 1) for name in nuisances]
    axes.set_xticks(range(len(nuisances)), named, fontsize=10)
    axes.set_yticks(range(len(rules)), [SHOWN[rule] for rule in rules], fontsize=10)
    axes.get_yticklabels()[0].set_fontweight("bold")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    title = "Of 100 releases of a version that is no worse, how many are rolled back?"
    axes.set_title(f"{title}\nThe worst combination of traffic and usual errors; 1 is what alpha allows", fontsize=12)
    return figure


def _times(rows: list[Row]) -> Figure:
    rates = sorted({row["rps"] for row in rows})
    figure, panels = pyplot.subplots(1, len(rates), figsize=(12, 5), sharey=True, layout="constrained", squeeze=False)
    for panel, rps in zip(panels[0], rates, strict=True):
        _panel(panel, [row for row in rows if row["rps"] == rps], f"{rps:g} requests/s")
    panels[0][0].set_ylabel("seconds until it is rolled back, median")
    handles, labels = panels[0][-1].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=9, ncols=3, loc="outside lower center", frameon=False)
    figure.suptitle(
        "How soon is a version rolled back whose errors rise from 0.2 %?\n"
        "It gets a tenth of the requests and is watched for half an hour",
        fontsize=12,
    )
    return figure


def _panel(axes: Axes, rows: list[Row], title: str) -> None:
    ours = ("fairlead", "requests alone")
    others = [one["rule"] for one in rows[0]["outcomes"] if not one["rule"].startswith(ours)]
    for at, rule in enumerate(others):
        _line(axes, rows, rule, SHOWN[rule], color=GREY, marker=MARKS[at % len(MARKS)], linewidth=1)
    _line(axes, rows, "fairlead, no margin", SHOWN["fairlead, no margin"], color=FAULT, marker="o", linewidth=1.5)
    _line(axes, rows, OURS, "Fairlead, one of three gates", color=ACCENT, marker="o", linewidth=3)
    bad = [100 * row["bad"] for row in rows]
    axes.set(xscale="log", yscale="log", ylim=(4, 2200), xlabel="errors of the candidate")
    axes.set_xticks(bad, [f"{one:g} %" for one in bad])
    axes.set_yticks([5, 15, 60, 300, 900, 1800], ["5 s", "15 s", "1 min", "5 min", "15 min", "30 min"])
    axes.minorticks_off()
    axes.grid(axis="y", color="#e6e6e6")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, fontsize=11)


def _line(axes: Axes, rows: list[Row], rule: str, label: str, *, color: str, marker: str, linewidth: float) -> None:
    found = [(100 * row["bad"], _of(row, rule)["seconds"]) for row in rows]
    shown = [(bad, seconds) for bad, seconds in found if seconds]
    axes.plot(
        [bad for bad, _ in shown],
        [seconds for _, seconds in shown],
        color=color,
        marker=marker,
        linewidth=linewidth,
        markersize=5,
        label=label,
    )


def _of(row: Row, rule: str) -> Row:
    found: Row = next(one for one in row["outcomes"] if one["rule"] == rule)
    return found


if __name__ == "__main__":
    for picture in draw():
        print(picture.relative_to(Path.cwd()) if picture.is_relative_to(Path.cwd()) else picture)
