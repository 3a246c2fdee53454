"""Panels with bars side by side."""

from __future__ import annotations

from support.dashboards.answers import Answered
from support.dashboards.canvas import GREY, box, text, width_of
from support.dashboards.cells import table
from support.dashboards.frame import SMALL, Frame, grid, legend, no_data
from support.dashboards.looks import colour, defaults
from support.dashboards.units import ticks, written


def draw(answered: Answered, frame: Frame) -> list[str]:
    """A group of bars for each row of the panel's table, a bar for each of its columns."""
    rows, settings = table(answered), defaults(answered.panel)
    if not rows:
        return no_data(frame)
    by = answered.panel["options"]["xField"]
    columns = list(dict.fromkeys(name for row in rows for name in row if name != by))
    drawn, room = legend(frame, [(name, colour(at)) for at, name in enumerate(columns)])
    heights = [{name: float(row.get(name, 0)) for name in columns} for row in rows]
    highest = max(value for one in heights for value in one.values()) or 1
    values = ticks(0, highest, max(2, int((room.height - 20) / 26)), settings["unit"])
    highest = max(highest, values[-1])
    words = [written(one, settings["unit"]) for one in values]
    plot = room.inside(left=max(width_of(one, SMALL) for one in words) + 8, top=6, right=4, bottom=18)
    drawn += grid(
        plot, [(plot.bottom - plot.height * one / highest, word) for one, word in zip(values, words, strict=True)]
    )
    group = plot.width / len(rows)
    wide = group * 0.8 / len(columns)
    for across, (row, one) in enumerate(zip(rows, heights, strict=True)):
        left = plot.x + group * across + group * 0.1
        drawn.append(text(left + group * 0.4, plot.bottom + 13, str(row[by]), GREY, SMALL, "middle"))
        for at, name in enumerate(columns):
            high = plot.height * one[name] / highest
            drawn.append(box(left + wide * at, plot.bottom - high, wide * 0.92, high, colour(at)))
    return drawn
