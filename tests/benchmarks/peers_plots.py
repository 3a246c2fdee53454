"""Draws the picture of the comparison with other model servers from the JSON result of the last full run."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import SubFigure  # noqa: E402

from support.proof import RESULTS  # noqa: E402

INK, OURS, THEIRS = "#222222", "#0072b2", "#b8b8b8"
PANELS: tuple[tuple[str, Callable[[dict[str, Any]], float]], ...] = (
    ("CPU of one prediction, µs", lambda one: one["cpu_us_per_request"]),
    ("requests/s of one core", lambda one: statistics.median(one["requests_per_s"])),
    ("p99 at a constant rate, ms", lambda one: one["latency_ms_at_constant_rate"]["p99"]),
    ("memory, MiB", lambda one: one["memory_mib"]),
    ("start to first answer, s", lambda one: one["start_to_first_answer_s"]),
)
"""Of each panel its title and its number. The scales are logarithmic: the numbers differ by a hundred times."""
MODELS = {
    "iris": "iris: four numbers",
    "text": "text: TF-IDF of a sentence",
    "photo": "photo: a JPEG, decoded by the server",
    "frame": "table: 2,000 columns",
}


def draw(results: Path = RESULTS) -> Path:
    """Write the picture to the folder of the results. Returns its path."""
    numbers = json.loads((results / "peers.json").read_text())["numbers"]
    versions = {name.lower(): text for name, text in numbers["versions"].items()}
    models = {model: numbers["models"][model]["pairs"] for model in MODELS if model in numbers["models"]}
    picture = results / "peers.svg"
    with matplotlib.rc_context():
        # Text stays text in the SVG, and the same numbers give the same bytes.
        matplotlib.rc("svg", fonttype="none", hashsalt="fairlead")
        matplotlib.rc("text", color=INK)
        heights = [0.9 + 0.36 * (len(pairs) + 1) for pairs in models.values()]
        figure = pyplot.figure(figsize=(14, sum(heights)), layout="constrained")
        parts = figure.subfigures(len(models), 1, height_ratios=heights, squeeze=False)[:, 0]
        for (model, pairs), part in zip(models.items(), parts, strict=True):
            _model(part, MODELS[model], pairs, versions)
        figure.savefig(picture, metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
    return picture


def _model(part: SubFigure, title: str, pairs: dict[str, Any], versions: dict[str, str]) -> None:
    """Fairlead, as the median of its pairs, and the other servers with one model."""
    ours, rows = [pair["fairlead"] for pair in pairs.values()], {name: pair["peer"] for name, pair in pairs.items()}
    panels = part.subplots(1, len(PANELS), sharey=True)
    part.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    names = ["Fairlead", *rows]
    for axes, (what, number) in zip(panels, PANELS, strict=True):
        values = [statistics.median(map(number, ours)), *map(number, rows.values())]
        _bars(axes, what, values)
    panels[0].set_yticks(range(len(names)), [_label(name, versions) for name in names], fontsize=10)
    panels[0].get_yticklabels()[0].set_fontweight("bold")
    panels[0].invert_yaxis()


def _bars(axes: Axes, title: str, values: list[float]) -> None:
    colours = [OURS, *([THEIRS] * (len(values) - 1))]
    axes.barh(range(len(values)), values, color=colours, height=0.7)
    axes.set_xscale("log")
    axes.set_xlim(min(values) / 2, max(values) * 5)
    for down, value in enumerate(values):
        axes.text(value * 1.1, down, f"{value:,.0f}" if value >= 10 else f"{value:.2g}", va="center", fontsize=9)
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    axes.minorticks_off()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _label(name: str, versions: dict[str, str]) -> str:
    package = {"kserve sdk": "kserve", "ray serve": "ray"}.get(name.lower(), name.lower())
    return f"{name} {versions[package]}" if package in versions else name


if __name__ == "__main__":
    print(draw())
