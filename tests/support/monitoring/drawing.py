"""Draws a dashboard from its own queries: every panel, at the place and with the unit that its document says.

It is no Grafana: it draws what these dashboards use, so that a page of the documentation can show them.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.patches import Rectangle  # noqa: E402

from monitoring.panels import WIDTH, Dashboard, Panel, to_json  # noqa: E402
from support.monitoring.frames import Line, Reader, Table  # noqa: E402
from support.monitoring.units import written  # noqa: E402

INK, GREY, FAINT, PAPER = "#24292e", "#6e7681", "#e4e7eb", "#f4f5f5"
COLOURS = ("#3274d9", "#e0752d", "#37872d", "#8f3bb8", "#c4162a", "#5794f2", "#fade2a", "#b877d9", "#19730e", "#705da0")
NAMED = {"green": "#73bf69", "red": "#e02f44", "yellow": "#f2cc0c", "orange": "#ff9830", "blue": "#5794f2"}
INCHES, UNIT = 16.0, 0.34
"""The width of a picture, and the height of one row of Grafana's grid."""
MOST_NAMES, MOST_ROWS = 6, 11


def draw(board: Dashboard, reader: Reader, file: Path) -> None:
    """Draw a dashboard into a PNG."""
    now = time.time()
    placed = to_json(board, ())["panels"]
    panels = iter([panel for row in board.rows for panel in row.panels])
    height = max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in placed)
    pyplot.rc("font", size=7.5, family="DejaVu Sans")
    pyplot.rc("text", color=INK)
    figure = pyplot.figure(figsize=(INCHES, UNIT * (height + 2)), facecolor=PAPER)
    figure.text(0.01, 1 - 0.9 / (height + 2), board.title, fontsize=14, weight="bold", va="center")
    for one in placed:
        at = one["gridPos"]
        box = (at["x"] / WIDTH, 1 - (at["y"] + at["h"] + 2) / (height + 2), at["w"] / WIDTH, at["h"] / (height + 2))
        if one["type"] == "row":
            figure.text(box[0] + 0.01, box[1] + box[3] / 2, f"▾ {one['title']}", weight="bold", fontsize=9, va="center")
        else:
            _draw_panel(figure, box, next(panels), one, reader, now)
    figure.savefig(file, dpi=80, pil_kwargs={"optimize": True})
    pyplot.close(figure)


def _draw_panel(
    figure: Figure, box: tuple[float, ...], panel: Panel, document: dict[str, Any], reader: Reader, now: float
) -> None:
    wide, high = INCHES, figure.get_size_inches()[1]
    x, y, w, h = box[0] + 0.06 / wide, box[1] + 0.05 / high, box[2] - 0.12 / wide, box[3] - 0.1 / high
    figure.patches.append(
        Rectangle((x, y), w, h, transform=figure.transFigure, facecolor="white", edgecolor=FAINT, linewidth=0.8)
    )
    figure.text(x + 0.08 / wide, y + h - 0.13 / high, panel.title, weight="bold", fontsize=8, va="center")
    below = (
        0.62
        if panel.kind in ("timeseries", "barchart")
        else 0.3
        if panel.kind in ("state-timeline", "heatmap")
        else 0.06
    )
    left = (
        0.75 if panel.kind in ("timeseries", "barchart", "heatmap") else 1.9 if panel.kind == "state-timeline" else 0.1
    )
    axes = figure.add_axes((x + left / wide, y + below / high, w - (left + 0.12) / wide, h - (below + 0.32) / high))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=6.5, colors=GREY)
    defaults = document["fieldConfig"]["defaults"]
    if panel.kind in ("table", "stat", "barchart"):
        _NOW[panel.kind](axes, panel, reader.table(panel), defaults)
    else:
        lines = [line for line in reader.lines(panel, now) if any(map(math.isfinite, line.values))]
        if not lines:
            _nothing(axes)
            return
        _OVER_TIME[panel.kind](axes, panel, lines, defaults)
        axes.set_xlim(0, reader.seconds)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} s")


def _nothing(axes: Axes) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, "No data", ha="center", va="center", color=GREY, fontsize=9, transform=axes.transAxes)


def _timeseries(axes: Axes, panel: Panel, lines: list[Line], defaults: dict[str, Any]) -> None:
    axes.grid(color=FAINT, linewidth=0.6)
    for at, line in enumerate(lines):
        colour = COLOURS[at % len(COLOURS)]
        label = line.name if at < MOST_NAMES else None
        axes.plot(line.times, line.values, color=colour, linewidth=1.1, label=label)
        axes.fill_between(line.times, line.values, color=colour, alpha=0.06, linewidth=0)
    values = [value for line in lines for value in line.values if math.isfinite(value)]
    low, high = defaults.get("min"), defaults.get("max")
    span = max(values) - min(0.0, *values) or 1.0
    axes.set_ylim(
        low if low is not None else min(0, min(values)), high if high is not None else max(values) + 0.08 * span
    )
    axes.yaxis.set_major_formatter(lambda value, _: written(value, panel.unit, None))
    axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5))
    names, labels = axes.get_legend_handles_labels()
    labels = [label if len(label) < 44 else f"{label[:42]}…" for label in labels]
    if len(lines) > MOST_NAMES:
        names, labels = [*names, Rectangle((0, 0), 0, 0, alpha=0)], [*labels, f"+ {len(lines) - MOST_NAMES} more"]
    axes.legend(
        names, labels, loc="upper left", bbox_to_anchor=(-0.06, -0.13), ncols=3, frameon=False, fontsize=6,
        handlelength=1.2, columnspacing=1.2, labelspacing=0.25, borderaxespad=0,
    )  # fmt: skip


def _timeline(axes: Axes, panel: Panel, lines: list[Line], defaults: dict[str, Any]) -> None:
    options = defaults["mappings"][0]["options"]
    for at, line in enumerate(lines):
        for one, value in zip(line.times, line.values, strict=True):
            shown = options.get(f"{value:g}", {"color": "blue"})
            axes.broken_barh([(one, 1.05)], (at - 0.4, 0.8), color=NAMED[shown["color"]], alpha=0.75, linewidth=0)
    names = [line.name if len(line.name) < 38 else f"{line.name[:36]}…" for line in lines]
    axes.set_yticks(range(len(lines)), names, color=INK)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    for at, one in enumerate(options.values()):
        place = 1 - 0.07 * (len(options) - 1 - at)
        axes.text(place, 1.02, f"■ {one['text']}", color=NAMED[one["color"]], fontsize=6.5, ha="right", va="bottom",
                  transform=axes.transAxes)  # fmt: skip


def _heatmap(axes: Axes, panel: Panel, lines: list[Line], defaults: dict[str, Any]) -> None:
    bounds = sorted(lines, key=lambda line: float(line.name))
    times = sorted({at for line in bounds for at in line.times})
    known = [dict(zip(line.times, line.values, strict=True)) for line in bounds]
    rows = [
        [one.get(at, 0.0) - (known[number - 1].get(at, 0.0) if number else 0.0) for at in times]
        for number, one in enumerate(known)
    ]
    most = max(max(row) for row in rows) or 1.0
    axes.imshow(
        rows, aspect="auto", origin="lower", cmap="Blues", vmin=0, vmax=most, interpolation="nearest",
        extent=(times[0], times[-1], -0.5, len(rows) - 0.5),
    )  # fmt: skip
    shown = [at for at in range(len(bounds)) if at % 3 == 0]
    axes.set_yticks(shown, ["∞" if bounds[at].name == "+Inf" else f"{float(bounds[at].name):g} ms" for at in shown])


def _coloured(value: float, defaults: dict[str, Any]) -> str | None:
    steps = defaults.get("thresholds", {}).get("steps", ())
    passed = [step for step in steps if step["value"] is None or value >= step["value"]]
    return NAMED[passed[-1]["color"]] if passed else None


def _stat(axes: Axes, panel: Panel, table: Table, defaults: dict[str, Any]) -> None:
    if not table.rows:
        _nothing(axes)
        return
    axes.set_axis_off()
    value = float(table.rows[0][-1] or 0)
    colour = _coloured(value, defaults) or INK
    axes.text(0.5, 0.5, written(value, panel.unit), fontsize=24, weight="bold", color=colour, ha="center", va="center",
              transform=axes.transAxes)  # fmt: skip


def _table(axes: Axes, panel: Panel, table: Table, defaults: dict[str, Any]) -> None:
    if not table.rows:
        _nothing(axes)
        return
    axes.set_axis_off()
    rows = table.rows[:MOST_ROWS]
    texts = [[_cell(cell, panel, defaults) for cell in row] for row in rows]
    found = axes.table(texts, colLabels=list(table.columns), cellLoc="left", colLoc="left", loc="upper left")
    found.auto_set_font_size(False)
    found.set_fontsize(7)
    found.auto_set_column_width(list(range(len(table.columns))))
    painted = defaults.get("custom", {}).get("cellOptions", {}).get("type") == "color-background"
    for (at, column), cell in found.get_celld().items():
        cell.set_edgecolor(FAINT)
        cell.set_height(min(0.11, 1.0 / (len(rows) + 2)))
        if at == 0:
            cell.set_text_props(color=COLOURS[0], weight="bold")
            continue
        value = rows[at - 1][column]
        if painted and isinstance(value, float) and (colour := _coloured(value, defaults)):
            cell.set_facecolor(colour)
    if len(table.rows) > len(rows):
        axes.text(0, 0, f"+ {len(table.rows) - len(rows)} more", color=GREY, fontsize=6.5, transform=axes.transAxes)


def _cell(cell: float | str | None, panel: Panel, defaults: dict[str, Any]) -> str:
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else written(cell, panel.unit, defaults.get("decimals"))


def _bars(axes: Axes, panel: Panel, table: Table, defaults: dict[str, Any]) -> None:
    if not table.rows:
        _nothing(axes)
        return
    series = table.columns[1:]
    width = 0.8 / len(series)
    for number, name in enumerate(series):
        heights = [float(row[number + 1] or 0) for row in table.rows]
        places = [at - 0.4 + (number + 0.5) * width for at in range(len(table.rows))]
        axes.bar(places, heights, width=width * 0.92, color=COLOURS[number % len(COLOURS)], label=name)
    axes.set_xticks(range(len(table.rows)), [str(row[0]) for row in table.rows])
    axes.yaxis.set_major_formatter(lambda value, _: written(value, panel.unit))
    axes.grid(color=FAINT, linewidth=0.6, axis="y")
    axes.legend(loc="upper left", bbox_to_anchor=(-0.06, -0.1), ncols=4, frameon=False, fontsize=6, borderaxespad=0)


_NOW = {"table": _table, "stat": _stat, "barchart": _bars}
_OVER_TIME = {"timeseries": _timeseries, "state-timeline": _timeline, "heatmap": _heatmap}
