"""An attempt's evidence as SVG, without script or embedded font. The same windows give the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import exp, log
from xml.sax.saxutils import escape

from fairlead.cli.output import moment
from fairlead.cli.picture.attempt import Attempt, GateLine
from fairlead.contracts.base import format_e_value
from fairlead.contracts.route import TOTAL_WEIGHT

WIDTH, LEFT, RIGHT = 960, 90, 190
EVIDENCE_HEIGHT, WEIGHT_HEIGHT, GUTTER, TOP = 230, 90, 46, 70
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""The palette of Okabe and Ito, which colour-blind readers can tell apart."""
MIN_LOG_E, MAX_MULTIPLE = -log(1000), 1.5
"""The lowest logarithm of an e-value that is shown, and the highest as a multiple of the threshold."""
DEFAULT_THRESHOLD = log(100)
"""Scales the axis where no check of the gate is stored."""
TICKS_S = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21600, 86400)


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes. `low` and `high` are values at its bottom and top."""

    attempt: Attempt
    top: float
    height: float
    low: float
    high: float

    def x(self, at: datetime) -> float:
        """The horizontal position of a time."""
        whole = (self.attempt.end - self.attempt.start).total_seconds() or 1.0
        part = (at - self.attempt.start).total_seconds() / whole
        return LEFT + min(1.0, max(0.0, part)) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """The vertical position of a value, limited to the panel."""
        part = (min(self.high, max(self.low, value)) - self.low) / (self.high - self.low)
        return self.top + self.height * (1 - part)


def draw(attempt: Attempt) -> str:
    """The whole document: evidence for harm, evidence for safety and the candidate's weight on one time axis."""
    panels = [_evidence_panel(attempt, attempt.harm, TOP)]
    panels.append(_evidence_panel(attempt, attempt.safe, TOP + EVIDENCE_HEIGHT + GUTTER))
    weights = Panel(attempt, TOP + 2 * (EVIDENCE_HEIGHT + GUTTER), WEIGHT_HEIGHT, 0, TOTAL_WEIGHT)
    height = weights.top + WEIGHT_HEIGHT + 60
    title = f"{attempt.model}, attempt {attempt.number}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" role="img"'
        ' font-family="system-ui, sans-serif" font-size="12" fill="#222">',
        f"<title>{escape(title)}: evidence and weight</title>",
        f'<rect width="{WIDTH}" height="{height:g}" fill="#fff"/>',
        _text(LEFT, 26, title, "start", ' font-size="17" font-weight="600"'),
        _text(LEFT, 44, f"{moment(attempt.start)} to {moment(attempt.end)}", "start", ' fill="#666"'),
    ]
    for panel, found, name in zip(panels, (attempt.harm, attempt.safe), ("harm", "safety"), strict=False):
        lines += [*_frame(panel, f"evidence for {name}, to 1"), *_odds(panel), *_gate_lines(panel, found)]
    lines += [*_frame(weights, "weight"), *_weights(weights), *_times(weights)]
    lines += _marks([*panels, weights])
    return "\n".join([*lines, "</svg>", ""])


def _evidence_panel(attempt: Attempt, found: Sequence[GateLine], top: float) -> Panel:
    threshold = max((line.threshold or DEFAULT_THRESHOLD for line in found), default=DEFAULT_THRESHOLD)
    reached = max((max(line.log_e) for line in found), default=0.0)
    low = min((min(line.log_e) for line in found), default=0.0)
    high = max(1.1 * threshold, min(reached, MAX_MULTIPLE * threshold))
    return Panel(attempt, top, EVIDENCE_HEIGHT, max(MIN_LOG_E, min(low, -1.0)), high)


def _frame(panel: Panel, name: str) -> Iterator[str]:
    for at in panel.attempt.windows:
        if at.gap is not None:
            x, width = panel.x(at.start), panel.x(at.end) - panel.x(at.start)
            box = f'x="{x:.1f}" y="{panel.top:g}" width="{width:.1f}" height="{panel.height:g}"'
            yield f'<rect {box} fill="#eee"><title>{escape(at.gap)}</title></rect>'
    box = f'x="{LEFT}" y="{panel.top:g}" width="{WIDTH - LEFT - RIGHT}" height="{panel.height:g}"'
    yield f'<rect {box} fill="none" stroke="#bbb"/>'
    yield _text(LEFT, panel.top - 6, name, "start", ' fill="#666"')


def _odds(panel: Panel) -> Iterator[str]:
    """Powers of ten on the vertical axis."""
    for power in range(-3, 40):
        value = power * log(10)
        if panel.low <= value <= panel.high:
            y = panel.y(value)
            yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#eee"/>'
            yield _text(LEFT - 8, y + 4, format_e_value(value) if power < 0 else f"{exp(value):,.0f}", "end")


def _gate_lines(panel: Panel, found: Sequence[GateLine]) -> Iterator[str]:
    for threshold in sorted({line.threshold for line in found if line.threshold is not None}):
        y = panel.y(threshold)
        dashed = 'stroke="#222" stroke-dasharray="6 4"'
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" {dashed}/>'
        yield _text(LEFT + 6, y - 5, f"{format_e_value(threshold)} is enough", "start")
    labels = _without_overlap([panel.y(line.log_e[-1]) for line in found])
    for line, label, colour in zip(found, labels, COLOURS * len(found), strict=False):
        points = [(panel.attempt.start, 0.0)]
        points += [(window.end, value) for window, value in zip(panel.attempt.windows, line.log_e, strict=True)]
        path = " ".join(f"{panel.x(at):.1f},{panel.y(value):.1f}" for at, value in points)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        text = f"{line.gate}: {format_e_value(line.log_e[-1])}"
        yield _text(WIDTH - RIGHT + 8, label + 4, text, "start", f' fill="{colour}" font-weight="600"')


def _weights(panel: Panel) -> Iterator[str]:
    path: list[str] = []
    for window in panel.attempt.windows:
        y = panel.y(window.weight)
        path += [f"{panel.x(window.start):.1f},{y:.1f}", f"{panel.x(window.end):.1f},{y:.1f}"]
    yield f'<polyline points="{" ".join(path)}" fill="none" stroke="#222" stroke-width="2"/>'
    for share in (0, 50, 100):
        yield _text(LEFT - 8, panel.y(share * TOTAL_WEIGHT / 100) + 4, f"{share} %", "end")


def _marks(panels: Sequence[Panel]) -> Iterator[str]:
    first, last = panels[0], panels[-1]
    for mark in first.attempt.marks:
        x = first.x(mark.at)
        down = f'y1="{first.top:g}" y2="{last.top + last.height:g}"'
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" {down} stroke="#888" stroke-dasharray="2 3"/>'
        yield _text(x + 4, last.top + 13, mark.what, "start", ' fill="#444"')


def _times(panel: Panel) -> Iterator[str]:
    whole = (panel.attempt.end - panel.attempt.start).total_seconds()
    step = next((one for one in TICKS_S if whole / one <= 8), TICKS_S[-1])
    for at in range(int(whole // step) + 1):
        when = panel.attempt.start + timedelta(seconds=at * step)
        text = f"{at * step} s" if step < 60 else f"{at * step // 60} min" if step < 3600 else f"{at * step // 3600} h"
        yield _text(panel.x(when), panel.top + panel.height + 18, text, "middle")


def _without_overlap(places: Sequence[float], distance: float = 15) -> list[float]:
    """Positions of labels that do not overlap: in the same order, each at least `distance` below the one above."""
    order = sorted(range(len(places)), key=lambda at: places[at])
    out, above = list(places), float("-inf")
    for at in order:
        out[at] = above = max(places[at], above + distance)
    return out


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'
