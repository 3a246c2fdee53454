"""Panels with lines over time."""

from __future__ import annotations

from support.dashboards.answers import POINTS, Answered
from support.dashboards.canvas import NAMED, path, rule, width_of
from support.dashboards.frame import SMALL, Frame, grid, legend, no_data
from support.dashboards.looks import colour, defaults, runs, steps
from support.dashboards.units import ticks, written


def draw(answered: Answered, frame: Frame, marks: tuple[float, ...]) -> list[str]:
    """The lines, their axes, thresholds, legend, and the marks of annotations."""
    if not answered.series:
        return no_data(frame)
    settings = defaults(answered.panel)
    names = [(one.name, colour(at)) for at, one in enumerate(answered.series)]
    drawn, room = legend(frame, names)
    low, high = _limits(answered, settings.get("min"), settings.get("max"))
    values = ticks(low, high, max(2, int((room.height - 20) / 26)), settings["unit"])
    high = max(high, values[-1])
    unit = settings["unit"]
    words = [written(one, unit, settings.get("decimals")) for one in values]
    plot = room.inside(left=max(width_of(one, SMALL) for one in words) + 8, top=6, right=4, bottom=18)

    def level(value: float) -> float:
        return plot.bottom - plot.height * (min(max(value, low), high) - low) / (high - low)

    drawn += grid(plot, [(level(one), word) for one, word in zip(values, words, strict=True)])
    drawn += plot.time_axis()
    drawn += [rule(plot.at(one), plot.y, plot.at(one), plot.bottom, NAMED["blue"], dashed=True) for one in marks]
    gap = 2.5 * max(1, frame.seconds / POINTS)
    for at, one in enumerate(answered.series):
        drawn.append(path([[(plot.at(t), level(v)) for t, v in run] for run in runs(one.values, gap)], colour(at)))
    if settings.get("custom", {}).get("thresholdsStyle", {}).get("mode", "off") != "off":
        shown = [(limit, hue) for limit, hue in steps(settings) if low <= limit <= high]
        drawn += [rule(plot.x, level(one), plot.right, level(one), hue, dashed=True, width=1.5) for one, hue in shown]
    return drawn


def _limits(answered: Answered, least: float | None, most: float | None) -> tuple[float, float]:
    every = [value for one in answered.series for _, value in one.values]
    low = min(every) if least is None else least
    high = max(every) if most is None else most
    if high <= low:
        high = low + (abs(low) or 1)
    return low, high
