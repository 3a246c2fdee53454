"""Pictures of the simulated rollouts, from the JSON of the last full run: nothing is computed here but positions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402

from support.proof import RESULTS  # noqa: E402

ALPHA = 0.01
LEAST = 0.0005
"""Where a share of zero is drawn on a logarithmic axis."""


def draw(results: Path = RESULTS) -> list[Path]:
    """Write both pictures beside the results; returns their paths."""
    numbers = json.loads((results / "rollout_statistics.json").read_text())["numbers"]
    pictures = [results / "rollout_statistics_false_alarms.png", results / "rollout_statistics_time.png"]
    _false_alarms(numbers["aa"], pictures[0])
    _time(numbers["errors"], pictures[1])
    return pictures


def _false_alarms(rows: list[dict[str, Any]], to: Path) -> None:
    rules = [one["rule"] for one in rows[0]["outcomes"]]
    nuisances = list(dict.fromkeys(row["nuisance"] for row in rows))
    figure, axes = pyplot.subplots(figsize=(11, 6), layout="constrained")
    for at, rule in enumerate(rules):
        shares = [
            max(
                one["rolledBack"]
                for row in rows
                if row["nuisance"] == nuisance
                for one in row["outcomes"]
                if one["rule"] == rule
            )
            for nuisance in nuisances
        ]
        places = [index + 0.8 * (at - len(rules) / 2) / len(rules) for index in range(len(nuisances))]
        axes.bar(places, [max(LEAST, share) for share in shares], width=0.8 / len(rules), label=rule, align="edge")
    axes.axhline(ALPHA, color="black", linewidth=1, linestyle="--", label="alpha")
    axes.set(
        yscale="log",
        ylim=(0.6 * LEAST, 1.2),
        ylabel="rolled back wrongly, worst cell",
        title="Both versions are the same",
    )
    axes.set_xticks(range(len(nuisances)), nuisances, rotation=20, ha="right")
    figure.legend(fontsize=8, ncols=3, loc="outside lower center")
    figure.savefig(to, dpi=110)
    pyplot.close(figure)


def _time(rows: list[dict[str, Any]], to: Path) -> None:
    rates = sorted({row["rps"] for row in rows})
    figure, panels = pyplot.subplots(1, len(rates), figsize=(13, 4.5), sharey=True, layout="constrained", squeeze=False)
    for panel, rps in zip(panels[0], rates, strict=True):
        _panel(panel, [row for row in rows if row["rps"] == rps], f"{rps:g} requests a second, 10 % to the candidate")
    panels[0][0].set_ylabel("seconds to roll back, median")
    handles, labels = panels[0][-1].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, ncols=3, loc="outside lower center")
    figure.savefig(to, dpi=110)
    pyplot.close(figure)


def _panel(axes: Axes, rows: list[dict[str, Any]], title: str) -> None:
    for rule in (one["rule"] for one in rows[0]["outcomes"]):
        found = [(row["bad"], one["seconds"]) for row in rows for one in row["outcomes"] if one["rule"] == rule]
        shown = [(100 * bad, seconds) for bad, seconds in found if seconds]
        axes.plot([x for x, _ in shown], [y for _, y in shown], marker="o", label=rule)
    axes.set(xscale="log", yscale="log", xlabel="errors of the candidate, % (stable: 0.2)", title=title)


if __name__ == "__main__":
    for picture in draw():
        print(picture.relative_to(Path.cwd()) if picture.is_relative_to(Path.cwd()) else picture)
