"""Draws the curves of a calibration: requests per second against p95, with the goal and the knees."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from fairlead.calibration.advice import Curve
from fairlead.calibration.points import Point
from fairlead.calibration.result import Result

WIDTH, HEIGHT = 860, 480
LEFT, RIGHT, TOP, BOTTOM = 80, 190, 70, 60
COLOURS = ("#0b62a4", "#c2410c", "#15803d", "#7e22ce", "#a16207", "#475569")
DASHES = ("", "7 4", "2 4", "9 3 2 3", "14 4", "1 3")
LABEL_GAP = 20


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
    """The whole document."""
    shown = [(one, sorted(_drawn(one), key=lambda point: point.rate)) for one in found.curves]
    rates = [point.rate for _, points in shown for point in points] or [1.0, 10.0]
    latencies = [point.p95_s for _, points in shown for point in points] or [0.01]
    latencies += [one.goal_s * 1.5 for one in found.curves]
    axes = _Axes((min(rates) / 1.2, max(rates) * 1.2), (min(latencies) / 1.5, max(latencies)))
    title = f"{found.model} {found.version}: how much load is answered in time"
    under = f"threads {found.threads}, workers {found.workers}, rows per request {found.rows_per_request}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        ' font-family="system-ui, sans-serif" font-size="12" fill="#222">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(LEFT, 26, title, "start", ' font-size="17" font-weight="600"'),
        _text(LEFT, 46, f"{under}; p95 against requests per second", "start", ' fill="#666"'),
        *_grid(axes),
    ]
    for one in {curve.goal_s: curve for curve in found.curves}:
        y = axes.y(one)
        dashed = 'stroke="#222" stroke-dasharray="6 4"'
        lines.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" {dashed}/>')
        lines.append(_text(LEFT + 6, y - 6, f"goal: {_time(round(one, 4))}", "start"))
    ends = _apart([axes.y(points[-1].p95_s) if points else float(TOP) for _, points in shown])
    for at, ((curve, points), end) in enumerate(zip(shown, ends, strict=True)):
        lines += _curve(axes, curve, points, at, end)
    return "\n".join([*lines, "</svg>", ""])


def _drawn(curve: Curve) -> Iterator[Point]:
    """The points with a latency, up to three times the goal: what is far beyond it says only how long was waited."""
    limit = 3 * curve.goal_s
    return (one for one in curve.points if math.isfinite(one.p95_s) and one.p95_s <= limit)


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
    return f"{seconds:g} s" if seconds >= 1 else f"{1000 * seconds:g} ms"


def _curve(axes: _Axes, curve: Curve, points: Sequence[Point], at: int, end: float) -> Iterator[str]:
    colour, dash = COLOURS[at % len(COLOURS)], DASHES[at % len(DASHES)]
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    places = [(axes.x(one.rate), axes.y(one.p95_s)) for one in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashed}/>'
    yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in places)
    goal = axes.y(curve.goal_s)
    name = _name(curve)
    if curve.knee is not None and curve.is_sure:
        x = axes.x(curve.knee.rate)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{goal:.1f}" y2="{HEIGHT - BOTTOM}" stroke="{colour}"{dashed}/>'
        yield f'<circle cx="{x:.1f}" cy="{goal:.1f}" r="6" fill="#fff" stroke="{colour}" stroke-width="2"/>'
        name = f"{name}: {curve.knee.rate:,.0f}/s"
    elif curve.highest_met:
        name = f"{name}: over {curve.highest_met:,.0f}/s"
    start = WIDTH - RIGHT + 8
    stroke = f'stroke="{colour}" stroke-width="2"{dashed}'
    yield f'<line x1="{start}" x2="{start + 24}" y1="{end:.1f}" y2="{end:.1f}" {stroke}/>'
    yield _text(start + 30, end + 4, name, "start", f' fill="{colour}" font-weight="600"')


def _name(curve: Curve) -> str:
    if curve.batching.max_rows == 1:
        return "batching off"
    wait = f", {curve.batching.max_wait_ms:g} ms" if curve.batching.max_wait_ms else ""
    return f"{curve.batching.max_rows} rows{wait}"


def _apart(wanted: Sequence[float]) -> list[float]:
    """Heights of labels near the wanted ones, from top to bottom, that do not touch."""
    placed: dict[int, float] = {}
    last = -math.inf
    for place in sorted(range(len(wanted)), key=lambda one: wanted[one]):
        last = placed[place] = max(wanted[place], last + LABEL_GAP)
    return [placed[place] for place in range(len(wanted))]


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'
