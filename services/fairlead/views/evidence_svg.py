"""An attempt's evidence as SVG, without script or embedded font. The same windows give the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import exp, log
from xml.sax.saxutils import escape

from fairlead.contracts.base import format_e_value
from fairlead.contracts.route import TOTAL_WEIGHT
from fairlead.views.amounts import moment
from fairlead.views.attempt import DEFAULT_THRESHOLD, HARM, SAFE, Attempt, Event, GateLine, gap_in_words
from fairlead.views.labels import badges, shortened, spread, wrapped

WIDTH, LEFT, RIGHT = 960, 90, 200
EVIDENCE_HEIGHT, WEIGHT_HEIGHT, GUTTER, TOP = 230, 90, 46, 104
LINE_HEIGHT = 17
BADGE_RADIUS = 8.5
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""The palette of Okabe and Ito, which colour-blind readers can tell apart."""
DASHES = ("", "9 4", "3 3", "12 3 3 3", "6 6", "1 4")
MARKERS = ("circle", "square", "triangle", "diamond")
"""Dash and marker tell lines apart without colour, and a hidden line still shows between the dashes of another."""
MARKERS_PER_LINE = 7
EQUAL_PX, OFFSET_PX = 3.0, 3.5
"""Lines that are closer than the first at most of their points are drawn apart by the second."""
MIN_LOG_E, MAX_MULTIPLE = -log(1000), 1.5
"""The lowest logarithm of an e-value that is shown, and the highest as a multiple of the threshold."""
TICKS_S = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21600, 86400)
HALO = ' paint-order="stroke" stroke="#fff" stroke-width="4"'
"""A white edge around the letters of texts that lines may cross."""
PADDING = 0.03
"""Time before the first and after the last event, as a part of the whole: the first and last weights need a width."""


@dataclass(frozen=True, slots=True)
class Axis:
    """The time axis. It has all windows and events, but not a rollback long after the promotion."""

    start: datetime
    end: datetime

    @classmethod
    def of(cls, attempt: Attempt) -> Axis:
        """From the release to the end of the attempt, with some time before and after."""
        first = [*(event.at for event in attempt.events[:1]), *(one.start for one in attempt.windows[:1])]
        until = [
            *(one.end for one in attempt.windows[-1:]),
            *(event.at for event in attempt.events if not event.is_end),
        ]
        start = min(first)
        last = max([*until, attempt.end.at] if attempt.end else until)
        length = max(last - start, timedelta(seconds=1))
        later = [event.at for event in attempt.events if last < event.at <= last + length / 2]
        end = max([last, *later])
        return cls(start - PADDING * length, max(end, start + length) + PADDING * length)

    def shows(self, event: Event) -> bool:
        """Whether the event's time is on the axis."""
        return event.at <= self.end

    def x(self, at: datetime) -> float:
        """The horizontal position of a time, limited to the panel."""
        part = (at - self.start) / (self.end - self.start)
        return LEFT + min(1.0, max(0.0, part)) * (WIDTH - LEFT - RIGHT)


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes. `low` and `high` are values at its bottom and top."""

    attempt: Attempt
    axis: Axis
    top: float
    height: float
    low: float
    high: float

    def x(self, at: datetime) -> float:
        """The horizontal position of a time."""
        return self.axis.x(at)

    def y(self, value: float) -> float:
        """The vertical position of a value, limited to the panel."""
        part = (min(self.high, max(self.low, value)) - self.low) / (self.high - self.low)
        return self.top + self.height * (1 - part)


def draw(attempt: Attempt) -> str:
    """The whole document: evidence for harm, evidence for safety and the candidate's weight on one time axis.

    A numbered line marks each event; the list below says what it was, who caused it and why.
    """
    axis = Axis.of(attempt)
    panels = [_evidence_panel(attempt, axis, attempt.harm, TOP)]
    panels.append(_evidence_panel(attempt, axis, attempt.safe, TOP + EVIDENCE_HEIGHT + GUTTER))
    weights = Panel(attempt, axis, TOP + 2 * (EVIDENCE_HEIGHT + GUTTER), WEIGHT_HEIGHT, 0, TOTAL_WEIGHT)
    listing, bottom = _listing(attempt, axis, weights.top + WEIGHT_HEIGHT + 50)
    height = bottom + 14
    candidate, stable = shortened(attempt.candidate, 40), shortened(attempt.stable, 40)
    title = f"{attempt.model}, attempt {attempt.number}: {stable} → {candidate}"
    span = f"{moment(attempt.windows[0].start)} to {moment(attempt.windows[-1].end)}, {_outcome(attempt)}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" role="img"'
        ' font-family="system-ui, sans-serif" font-size="12" fill="#222">',
        f"<title>{escape(attempt.title)}, {escape(_outcome(attempt))}: evidence and weight</title>",
        f'<rect width="{WIDTH}" height="{height:g}" fill="#fff"/>',
        _text(LEFT, 26, title, "start", ' font-size="17" font-weight="600"'),
        _text(LEFT, 46, span, "start", ' fill="#666"'),
    ]
    # Under the texts of the panels, so that no line goes through a word.
    lines += _event_lines([*panels, weights])
    names = (f"evidence that {candidate} is worse than {stable}", f"evidence that {candidate} is not worse")
    for panel, found, name, effect in zip(panels, (attempt.harm, attempt.safe), names, (HARM, SAFE), strict=True):
        lines += [*_frame(panel, name), *_odds(panel), *_thresholds(panel, found, effect), *_gate_lines(panel, found)]
    lines += [*_frame(weights, f"share of the requests for {candidate}"), *_weights(weights), *_times(weights)]
    lines += listing
    return "\n".join([*lines, "</svg>", ""])


def _outcome(attempt: Attempt) -> str:
    return attempt.events[-1].what if attempt.end else "in progress"


def _evidence_panel(attempt: Attempt, axis: Axis, found: Sequence[GateLine], top: float) -> Panel:
    threshold = max((line.threshold or DEFAULT_THRESHOLD for line in found), default=DEFAULT_THRESHOLD)
    reached = max((max(line.log_e) for line in found), default=0.0)
    low = min((min(line.log_e) for line in found), default=0.0)
    high = max(1.1 * threshold, min(reached, MAX_MULTIPLE * threshold))
    return Panel(attempt, axis, top, EVIDENCE_HEIGHT, max(MIN_LOG_E, min(low, -1.0)), high)


def _frame(panel: Panel, name: str) -> Iterator[str]:
    for at in panel.attempt.windows:
        if at.gap is not None:
            x, width = panel.x(at.start), panel.x(at.end) - panel.x(at.start)
            box = f'x="{x:.1f}" y="{panel.top:g}" width="{width:.1f}" height="{panel.height:g}"'
            yield f'<rect {box} fill="#000" fill-opacity="0.07"><title>{escape(gap_in_words(at.gap))}</title></rect>'
    box = f'x="{LEFT}" y="{panel.top:g}" width="{WIDTH - LEFT - RIGHT}" height="{panel.height:g}"'
    yield f'<rect {box} fill="none" stroke="#bbb"/>'
    yield _text(LEFT, panel.top - 7, name, "start", f' fill="#666"{HALO}')


def _odds(panel: Panel) -> Iterator[str]:
    """Powers of ten on the vertical axis."""
    for power in range(-3, 40):
        value = power * log(10)
        if panel.low <= value <= panel.high:
            y = panel.y(value)
            yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#eee"/>'
            yield _text(LEFT - 8, y + 4, format_e_value(value) if power < 0 else f"{exp(value):,.0f}", "end")


def _thresholds(panel: Panel, found: Sequence[GateLine], effect: str) -> Iterator[str]:
    """A dashed line at each threshold. Where gates have different ones, it names its gates."""
    thresholds = sorted({line.threshold for line in found if line.threshold is not None}, reverse=True)
    labels = spread([panel.y(one) - 5 for one in thresholds], 13)
    for threshold, label in zip(thresholds, labels, strict=True):
        y, gates = panel.y(threshold), [line.gate for line in found if line.threshold == threshold]
        whose = f"{shortened(', '.join(gates), 40)}: " if len(thresholds) > 1 else ""
        dashed = 'stroke="#222" stroke-dasharray="6 4"'
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" {dashed}/>'
        yield _text(LEFT + 6, label, f"{whose}{format_e_value(threshold)} {effect}", "start", HALO)


def _gate_lines(panel: Panel, found: Sequence[GateLine]) -> Iterator[str]:
    drawn: list[list[float]] = []
    for line in found:
        heights = [panel.y(value) for value in (0.0, *line.log_e)]
        offset = OFFSET_PX * sum(_is_same(heights, other) for other in drawn)
        drawn.append(heights)
        style, apart = _Style.of(len(drawn) - 1), [max(panel.top, y - offset) for y in heights]
        times = [panel.attempt.windows[0].start, *(window.end for window in panel.attempt.windows)]
        points = [(panel.x(at), y) for at, y in zip(times, apart, strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        yield f'<polyline points="{path}" fill="none" stroke="{style.colour}" stroke-width="2"{style.dash}/>'
        pace = max(1, len(points) // MARKERS_PER_LINE)
        # Each line starts its markers at another point, so that those of equal lines do not cover each other.
        shift = (len(drawn) - 1) * pace // max(1, len(found))
        yield from (style.marker(x, y) for x, y in points[shift::pace])
    for at, (line, label) in enumerate(zip(found, spread([other[-1] for other in drawn], 16), strict=True)):
        style, x = _Style.of(at), WIDTH - RIGHT + 8
        stroke = f'stroke="{style.colour}" stroke-width="2"{style.dash}'
        yield f'<line x1="{x}" x2="{x + 26}" y1="{label:.1f}" y2="{label:.1f}" {stroke}/>'
        yield style.marker(x + 13, label)
        text = f"{shortened(line.gate, 14)}: {format_e_value(line.log_e[-1])}"
        yield _text(x + 32, label + 4, text, "start", f' fill="{style.colour}" font-weight="600"', whole=line.gate)


def _is_same(one: Sequence[float], other: Sequence[float]) -> bool:
    return sum(abs(a - b) < EQUAL_PX for a, b in zip(one, other, strict=True)) * 2 >= len(one)


@dataclass(frozen=True, slots=True)
class _Style:
    """How a gate's line looks: it differs from the others in colour, dash and marker."""

    colour: str
    dash: str
    shape: str

    @classmethod
    def of(cls, at: int) -> _Style:
        dash = DASHES[at % len(DASHES)]
        return cls(
            COLOURS[at % len(COLOURS)], f' stroke-dasharray="{dash}"' if dash else "", MARKERS[at % len(MARKERS)]
        )

    def marker(self, x: float, y: float) -> str:
        fill = f'fill="{self.colour}" stroke="#fff"'
        if self.shape == "circle":
            return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" {fill}/>'
        corners = {
            "square": ((-3.6, -3.6), (3.6, -3.6), (3.6, 3.6), (-3.6, 3.6)),
            "triangle": ((0, -5), (4.6, 3.4), (-4.6, 3.4)),
            "diamond": ((0, -5.2), (4.6, 0), (0, 5.2), (-4.6, 0)),
        }[self.shape]
        return f'<polygon points="{" ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)}" {fill}/>'


def _weights(panel: Panel) -> Iterator[str]:
    """The candidate's weight from 0 before the first step to what the end left: 0 or 100 %."""
    attempt = panel.attempt
    changes = [(event.at, event.weight) for event in attempt.events if panel.axis.shows(event)]
    if not attempt.is_complete:
        changes = sorted(
            [*((window.start, window.weight) for window in attempt.windows), *changes], key=lambda one: one[0]
        )
    weight, path = 0 if attempt.is_complete else changes[0][1], list[str]()
    for at, after in [(panel.axis.start, weight), *changes, (panel.axis.end, changes[-1][1])]:
        x = panel.x(at)
        path += [f"{x:.1f},{panel.y(weight):.1f}", f"{x:.1f},{panel.y(after):.1f}"]
        weight = after
    yield f'<polyline points="{" ".join(path)}" fill="none" stroke="#222" stroke-width="2"/>'
    for share in (0, 50, 100):
        yield _text(LEFT - 8, panel.y(share * TOTAL_WEIGHT / 100) + 4, f"{share} %", "end")


def _event_lines(panels: Sequence[Panel]) -> Iterator[str]:
    """A vertical line and a number for each event. Numbers that would overlap are moved apart."""
    first, last = panels[0], panels[-1]
    events = first.attempt.events
    places = [first.x(event.at) for event in events]
    moved = badges(places, LEFT, WIDTH - RIGHT)
    for number, (event, x, badge) in enumerate(zip(events, places, moved, strict=True), 1):
        top, bottom, y = first.top - 8, last.top + last.height, first.top - 32
        if first.axis.shows(event):
            path = f"M{badge:.1f},{y:g} L{x:.1f},{top:g} V{bottom:g}"
            yield f'<path d="{path}" fill="none" stroke="#888" stroke-dasharray="2 3"/>'
        yield _badge(number, badge, y)


def _badge(number: int, x: float, y: float) -> str:
    circle = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{BADGE_RADIUS}" fill="#fff" stroke="#666"/>'
    return circle + _text(x, y + 4, str(number), "middle", ' font-size="11"')


def _listing(attempt: Attempt, axis: Axis, top: float) -> tuple[list[str], float]:
    """The list of events, and the position of its end."""
    out, y = list[str](), top
    for number, event in enumerate(attempt.events, 1):
        out.append(_badge(number, LEFT - 60, y - 4))
        out.append(_text(LEFT - 44, y, _when(attempt, event), "start", ' fill="#666"'))
        for at, line in enumerate(wrapped(_sentence(event, is_shown=axis.shows(event)), 112, lines=3)):
            out.append(_text(LEFT + 26, y, line, "start", whole=event.reason if not at else ""))
            y += LINE_HEIGHT
        y += 4
    return out, y


def _sentence(event: Event, *, is_shown: bool) -> str:
    said = f": {event.reason}" if event.reason else ""
    later = "" if is_shown else ", after the time shown above"
    return f"{event.what} by {shortened(event.actor, 40)} ({event.revision}{later}){said}"


def _when(attempt: Attempt, event: Event) -> str:
    return f"+{_duration(max(0.0, (event.at - _origin(attempt)).total_seconds()))}"


def _origin(attempt: Attempt) -> datetime:
    """Second 0 of the time axis: the release, or the first window where the release is not known."""
    return min([*(event.at for event in attempt.events[:1]), attempt.windows[0].start])


def _duration(seconds: float) -> str:
    whole = int(seconds)
    if whole >= 86400:
        return f"{whole // 86400}d {whole % 86400 // 3600}h"
    if whole >= 3600:
        return f"{whole // 3600}h {whole % 3600 // 60}m"
    return f"{whole // 60}m {whole % 60}s" if whole >= 60 else f"{seconds:.3g}s"


def _times(panel: Panel) -> Iterator[str]:
    origin = _origin(panel.attempt)
    whole = (panel.axis.end - origin).total_seconds()
    step = next((one for one in TICKS_S if whole / one <= 8), max(TICKS_S[-1], int(whole // 8 // 86400) * 86400))
    for at in range(int(whole // step) + 1):
        when = origin + timedelta(seconds=at * step)
        size, unit = next(one for one in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")) if step >= one[0])
        text = f"{at * step // size} {unit}"
        yield _text(panel.x(when), panel.top + panel.height + 18, text, "middle")


def _text(x: float, y: float, text: str, anchor: str, more: str = "", *, whole: str = "") -> str:
    title = f"<title>{escape(whole)}</title>" if whole and whole not in text else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}{title}</text>'
