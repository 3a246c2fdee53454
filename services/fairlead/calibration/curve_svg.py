"""Draws the curves of a calibration: requests per second against p95, with the goal and the knees."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from fairlead.calibration.advice import Curve
from fairlead.calibration.knee import is_met
from fairlead.calibration.result import Result

WIDTH, HEIGHT = 860, 480
LEFT, RIGHT, TOP, BOTTOM = 80, 220, 70, 60
COLOURS = ("#0b62a4", "#c2410c", "#15803d", "#7e22ce", "#a16207", "#475569")
DASHES = ("", "7 4", "2 4", "9 3 2 3", "14 4", "1 3")
DASHED = 'stroke-dasharray="6 4"'
LABEL_GAP = 22


@dataclass(frozen=True, slots=True)
class _Axes:
    """Both axes are logarithmic. Rates are requests per second, latencies seconds."""

    rates: tuple[float, float]
    latencies: tuple[float, float]

    def x(self, rate: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * _part(rate, *self.rates)

    def y(self, latency: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - _part(latency, *self.latencies))


def _part(value: float, low: float, high: float) -> float:
    return min(max(math.log(value / low) / math.log(high / low), 0.0), 1.0)


def draw(found: Result) -> str:
    """The whole document. A curve ends at its knee: what is beyond it says only how long was waited."""
    shown = [(one, list(_places(one))) for one in found.curves]
    rates = [rate for _, places in shown for rate, _ in places] or [1.0, 10.0]
    latencies = [latency for _, places in shown for _, latency in places]
    goals = sorted({one.goal_s for one in found.curves})
    axes = _Axes((min(rates) / 1.2, max(rates) * 1.3), (min([*latencies, *goals]) / 1.5, 1.5 * max(goals)))
    title = f"{found.model} {found.version}: how much load is answered in time"
    under = f"threads {found.threads}, workers {found.workers}, rows per request {found.rows_per_request}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        ' font-family="system-ui, sans-serif" font-size="12" fill="#222">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(LEFT, 26, title, "start", ' font-size="17" font-weight="600"'),
        _text(LEFT, 46, f"{under}; 95 % within {_time(goals[-1])}", "start", ' fill="#666"'),
        *_grid(axes),
    ]
    for goal in goals:
        y = axes.y(goal)
        lines.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#222" {DASHED}/>')
    for at, (curve, places) in enumerate(shown):
        lines += _curve(axes, curve, places, at)
    return "\n".join([*lines, "</svg>", ""])


def _places(curve: Curve) -> Iterator[tuple[float, float]]:
    """The rates that met the goal with their latencies, then the knee or the lowest rate that missed it."""
    points = sorted(curve.points, key=lambda point: point.rate)
    met = [one for one in points if is_met(one, curve.goal_s)]
    yield from ((one.rate, one.p95_s) for one in met)
    if curve.knee is not None:
        yield curve.knee.rate, curve.goal_s
    elif points and not met:
        yield points[0].rate, 1.5 * curve.goal_s


def _grid(axes: _Axes) -> Iterator[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    for rate in _ticks(*axes.rates):
        x = axes.x(rate)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}" stroke="#eee"/>'
        yield _text(x, bottom + 18, f"{rate:,.0f}", "middle")
    for latency in _ticks(*axes.latencies):
        y = axes.y(latency)
        yield f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#eee"/>'
        yield _text(LEFT - 8, y + 4, _time(latency), "end")
    yield f'<rect x="{LEFT}" y="{TOP}" width="{right - LEFT}" height="{bottom - TOP}" fill="none" stroke="#bbb"/>'
    yield _text((LEFT + right) / 2, bottom + 42, "requests per second", "middle", ' fill="#666"')
    yield _text(LEFT, TOP - 8, "p95", "end", ' fill="#666"')


def _ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between two numbers."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [step * 10.0**power for power in powers for step in (1, 2, 5) if low <= step * 10.0**power <= high]


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def _curve(axes: _Axes, curve: Curve, places: Sequence[tuple[float, float]], at: int) -> Iterator[str]:
    colour, dash = COLOURS[at % len(COLOURS)], DASHES[at % len(DASHES)]
    stroke = f'stroke="{colour}" stroke-width="2"' + (f' stroke-dasharray="{dash}"' if dash else "")
    drawn = [(axes.x(rate), axes.y(latency)) for rate, latency in places]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
    yield f'<polyline points="{path}" fill="none" {stroke}/>'
    yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in drawn)
    said = _name(curve)
    if curve.knee is not None and curve.is_sure:
        x, y = drawn[-1]
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y:.1f}" y2="{HEIGHT - BOTTOM}" stroke="{colour}" {DASHED}/>'
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="#fff" stroke="{colour}" stroke-width="2"/>'
        said = f"{said}: {curve.knee.rate:,.0f}/s"
    elif curve.highest_met:
        said = f"{said}: over {curve.highest_met:,.0f}/s"
    start, height = WIDTH - RIGHT + 12, TOP + 12 + at * LABEL_GAP
    yield f'<line x1="{start}" x2="{start + 24}" y1="{height}" y2="{height}" {stroke}/>'
    yield _text(start + 30, height + 4, said, "start", f' fill="{colour}" font-weight="600"')


def _name(curve: Curve) -> str:
    if curve.batching.max_rows == 1:
        return "batching off"
    wait = f", {curve.batching.max_wait_ms:g} ms" if curve.batching.max_wait_ms else ""
    return f"{curve.batching.max_rows} rows{wait}"


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'
