"""SVG: boxes, lines and words, each as text, and the colours of Grafana's light theme.

Everything is on an opaque ground, so a picture can be read on a page of any colour. Words stay words, in whatever font
the reader has, so their widths are estimates.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

GROUND, PAPER, EDGE, GRID = "#f4f5f5", "#ffffff", "#dcdcdf", "#e7e7ea"
INK, GREY = "#24292e", "#6a6e76"
PALETTE = ("#56a64b", "#e0a400", "#2aa6bd", "#e0752d", "#d0342c", "#1f60c4", "#a3358f", "#6d52a6", "#3f6833", "#967302")
"""The order of Grafana's classic palette, a little darker: lines must be seen on white."""
NAMED = {
    **{"green": "#73bf69", "yellow": "#fade2a", "orange": "#ff9830", "red": "#f2495c", "blue": "#5794f2"},
    "super-light-blue": "#c0d8ff",
}
_WIDE = 0.56
"""The width of a mean character, as a share of the font's size."""


def width_of(words: str, size: float = 11) -> float:
    """About how wide words are."""
    return len(words) * size * _WIDE


def cut(words: str, width: float, size: float = 11) -> str:
    """The words, shortened to about this width."""
    most = max(1, int(width / (size * _WIDE)))
    return words if len(words) <= most else words[: max(1, most - 1)] + "…"


def text(
    x: float, y: float, words: str, colour: str = GREY, size: float = 11, anchor: str = "start", *, bold: bool = False
) -> str:
    """Words whose base line is at y."""
    more = "".join(
        [
            f' font-size="{size:g}"' if size != 11 else "",
            f' text-anchor="{anchor}"' if anchor != "start" else "",
            ' font-weight="600"' if bold else "",
        ]
    )
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{colour}"{more}>{escape(words, quote=False)}</text>'


def box(x: float, y: float, width: float, height: float, fill: str, *, edge: str = "", round_by: float = 0) -> str:
    """A filled box."""
    more = (f' stroke="{edge}"' if edge else "") + (f' rx="{round_by:g}"' if round_by else "")
    return (
        f'<rect x="{_short(x)}" y="{_short(y)}" width="{_short(width)}" height="{_short(height)}" fill="{fill}"{more}/>'
    )


def rule(x1: float, y1: float, x2: float, y2: float, colour: str, *, dashed: bool = False, width: float = 1) -> str:
    """A straight line."""
    more = (' stroke-dasharray="6 4"' if dashed else "") + (f' stroke-width="{width:g}"' if width != 1 else "")
    return f'<path d="M{_short(x1)} {_short(y1)}L{_short(x2)} {_short(y2)}" stroke="{colour}"{more}/>'


def path(runs: Iterable[list[tuple[float, float]]], colour: str) -> str:
    """A line through points, with gaps between its runs. Points on a straight level line are left out."""
    written = []
    for run in runs:
        points = [(round(x), round(y, 1)) for x, y in run]
        kept = [
            one
            for at, one in enumerate(points)
            if at in (0, len(points) - 1) or not points[at - 1][1] == one[1] == points[at + 1][1]
        ]
        if len(kept) == 1:
            kept.append((kept[0][0] + 2, kept[0][1]))
        written.append("M" + "L".join(f"{x} {y:g}" for x, y in kept))
    return f'<path d="{"".join(written)}" fill="none" stroke="{colour}" stroke-width="1.4"/>'


def _short(value: float) -> str:
    return f"{round(value, 1):g}"
