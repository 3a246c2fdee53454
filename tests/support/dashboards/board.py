"""Draws a whole dashboard: its choices, its rows, and each panel at its place."""

from __future__ import annotations

from html import escape
from typing import Any

from support.dashboards import bands, bars, cells, lines
from support.dashboards.answers import Answered, Asked
from support.dashboards.canvas import EDGE, GREY, GROUND, INK, PAPER, box, cut, text, width_of
from support.dashboards.frame import Frame

WIDTH = 1200
_CELL, _ROW, _GAP, _HEAD = WIDTH / 24, 26, 6, 62


def draw(asked: Asked, caption: str) -> str:
    """The picture, as SVG. `caption` says what happens in it."""
    document = asked.document
    panels = {one.panel["id"]: one for one in asked.panels}
    height = _HEAD + _ROW * max(at["y"] + at["h"] for at in (one["gridPos"] for one in document["panels"])) + _GAP
    parts = [box(0, 0, WIDTH, height, GROUND), *_head(asked, caption)]
    for one in document["panels"]:
        parts += _titled(one) if one["type"] == "row" else _panel(panels[one["id"]], asked)
    name = f"{document['title']}: {caption}"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" '
        f'font-family="Inter,Helvetica,Arial,sans-serif" font-size="11" role="img" aria-label="{escape(name)}">\n'
    )
    return head + "\n".join(parts) + "\n</svg>\n"


def _head(asked: Asked, caption: str) -> list[str]:
    parts = [text(10, 22, asked.document["title"], INK, 16, bold=True), text(WIDTH - 10, 22, caption, GREY, 12, "end")]
    left = 10.0
    for one in asked.document["templating"]["list"]:
        name = one.get("label") or one["name"]
        value = "default" if one["type"] == "datasource" else asked.choices[one["name"]]
        shown = "All" if value == ".*" else value
        wide = width_of(name) + width_of(shown) + 26
        parts.append(box(left, 34, wide, 20, PAPER, edge=EDGE, round_by=2))
        parts += [text(left + 8, 48, name), text(left + wide - 8, 48, shown, INK, anchor="end")]
        left += wide + 6
    return parts


def _place(panel: Any) -> tuple[float, float, float, float]:
    at = panel["gridPos"]
    return at["x"] * _CELL, _HEAD + at["y"] * _ROW, at["w"] * _CELL, at["h"] * _ROW


def _titled(row: Any) -> list[str]:
    x, y, _, _ = _place(row)
    return [text(x + 10, y + 19, f"▾ {row['title']}", INK, 13, bold=True)]


def _panel(answered: Answered, asked: Asked) -> list[str]:
    x, y, width, height = _place(answered.panel)
    half = _GAP / 2
    frame = Frame(x + half, y + half, width - _GAP, height - _GAP, asked.seconds)
    drawn = [
        box(frame.x, frame.y, frame.width, frame.height, PAPER, edge=EDGE, round_by=2),
        text(frame.x + 8, frame.y + 17, cut(answered.title, frame.width - 16, 12), INK, 12, bold=True),
    ]
    room = frame.inside(left=8, top=24, right=8, bottom=6)
    kind = answered.panel["type"]
    if kind == "timeseries":
        return drawn + lines.draw(answered, room, asked.marks)
    if kind == "state-timeline":
        return drawn + bands.draw_states(answered, room)
    return drawn + _AT_ONCE[kind](answered, room)


_AT_ONCE = {
    "stat": cells.draw_stat,
    "table": cells.draw_table,
    "heatmap": bands.draw_heatmap,
    "barchart": bars.draw,
}
