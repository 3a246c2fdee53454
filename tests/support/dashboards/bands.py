"""Panels with colours over time: states, and how many were in which range."""

from __future__ import annotations

import re

from support.dashboards.answers import POINTS, Answered
from support.dashboards.canvas import GREY, box, cut, text, width_of
from support.dashboards.frame import SMALL, Frame, grid, legend, no_data
from support.dashboards.looks import colour_of, defaults, mapping, runs
from support.dashboards.units import written

_BLUES = ("#e3eef9", "#c0d9ee", "#8fc1e2", "#5aa1d1", "#2f7ebc", "#1359a1", "#08306b")
_LABEL_SHARE = 0.42


def draw_states(answered: Answered, frame: Frame) -> list[str]:
    """One band for each series, in the colours of its values."""
    if not answered.series:
        return no_data(frame)
    settings = defaults(answered.panel)
    drawn, room = (
        legend(frame, list(mapping(settings).values()))
        if answered.panel["options"]["legend"]["showLegend"]
        else ([], frame)
    )
    label = min(max(width_of(one.name, SMALL) for one in answered.series) + 8, room.width * _LABEL_SHARE)
    plot = room.inside(left=label, top=4, right=4, bottom=18)
    high = plot.height / len(answered.series)
    gap = 2.5 * max(1, frame.seconds / POINTS)
    for down, one in enumerate(answered.series):
        top = plot.y + high * down
        if high >= 9:
            drawn.append(text(plot.x - 5, top + high / 2 + 4, cut(one.name, label, SMALL), GREY, SMALL, "end"))
        for began, ended, value in _states(one.values, gap):
            hue = colour_of(value, settings, "#8e8e8e")
            drawn.append(
                box(plot.at(began), top + high * 0.1, max(1.5, plot.at(ended) - plot.at(began)), high * 0.8, hue)
            )
    return [*drawn, *plot.time_axis()]


def _states(values: tuple[tuple[float, float], ...], gap: float) -> list[tuple[float, float, float]]:
    found: list[tuple[float, float, float]] = []
    for run in runs(values, gap):
        began, value = run[0]
        for at, one in run[1:]:
            if one != value:
                found.append((began, at, value))
                began, value = at, one
        found.append((began, run[-1][0], value))
    return found


def draw_heatmap(answered: Answered, frame: Frame) -> list[str]:
    """How many were in which bucket: a darker cell has more."""
    limits = sorted(answered.series, key=lambda one: float(one.labels["le"]))
    if not limits:
        return no_data(frame)
    counts: dict[tuple[float, int], float] = {}
    below: dict[float, float] = {}
    for down, one in enumerate(limits):
        for at, value in one.values:
            counts[at, down] = max(0.0, value - below.get(at, 0.0))
            below[at] = value
    used = [down for (_, down), value in counts.items() if value > 0]
    if not used:
        return no_data(frame)
    first, last = min(used), max(used)
    unit = answered.panel["options"]["yAxis"]["unit"]
    words = [
        (
            down,
            "more"
            if re.match(r"\+?inf", limits[down].labels["le"], re.I)
            else written(float(limits[down].labels["le"]), unit),
        )
        for down in range(first, last + 1)
    ]
    plot = frame.inside(left=max(width_of(one, SMALL) for _, one in words) + 8, top=6, right=4, bottom=18)
    high = plot.height / (last + 1 - first)
    step = max(1, round(frame.seconds / POINTS))
    most = max(counts.values())
    cells = [
        box(
            plot.at(max(0, at - step)),
            plot.bottom - high * (down + 1 - first),
            plot.at(at) - plot.at(max(0, at - step)),
            high,
            _BLUES[min(len(_BLUES) - 1, int(len(_BLUES) * value / most))],
        )
        for (at, down), value in counts.items()
        if value > 0 and at > 0
    ]
    return [
        *grid(plot, [(plot.bottom - high * (down + 1 - first), one) for down, one in words]),
        *cells,
        *plot.time_axis(),
    ]
