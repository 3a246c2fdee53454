"""Where a panel draws: a rectangle, the axis of time below it, and the legend below that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from support.dashboards.canvas import GREY, GRID, box, cut, rule, text, width_of

SMALL = 10
_LINE = 15
_LEGEND_SHARE = 0.35
"""How much of a panel its legend may take, as in Grafana, which lets the reader scroll what is more."""


@dataclass(frozen=True)
class Frame:
    """A rectangle, in which `seconds` go from left to right."""

    x: float
    y: float
    width: float
    height: float
    seconds: float

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + self.height

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width

    def inside(self, left: float = 0, top: float = 0, right: float = 0, bottom: float = 0) -> Frame:
        """A smaller one."""
        return replace(
            self,
            x=self.x + left,
            y=self.y + top,
            width=self.width - left - right,
            height=self.height - top - bottom,
        )

    def at(self, second: float) -> float:
        """Where this second is."""
        return self.x + self.width * second / self.seconds

    def time_axis(self) -> list[str]:
        """Minutes and seconds below it, since the beginning."""
        marks = [one for one in _round_times(self.seconds, self.width) if self.at(one) < self.right - 12]
        return [
            text(self.at(one), self.bottom + 13, f"{one // 60}:{one % 60:02}", size=SMALL, anchor="middle")
            for one in marks
        ]


def _round_times(seconds: float, width: float) -> list[int]:
    most = max(2, width / 70)
    step = next(one for one in (5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600) if seconds / one <= most)
    return list(range(0, int(seconds) + 1, step))


def no_data(frame: Frame) -> list[str]:
    """What a panel says whose queries find nothing."""
    return [text(frame.x + frame.width / 2, frame.y + frame.height / 2, "No data", anchor="middle")]


def legend(frame: Frame, names: Sequence[tuple[str, str]]) -> tuple[list[str], Frame]:
    """Names with colours at the foot of a frame, and what is left of it. `names` are pairs of a name and a colour."""
    lines: list[list[tuple[str, str]]] = [[]]
    used = 0.0
    for name, colour in names:
        short = cut(name, frame.width - 30, SMALL)
        needed = width_of(short, SMALL) + 26
        if used + needed > frame.width and lines[-1]:
            lines.append([])
            used = 0.0
        lines[-1].append((short, colour))
        used += needed
    room = max(1, int(frame.height * _LEGEND_SHARE / _LINE))
    shown = lines[:room]
    drawn, top = [], frame.bottom - _LINE * len(shown) + 4
    for down, line in enumerate(shown):
        left = frame.x
        for name, colour in line:
            drawn.append(box(left, top + _LINE * down + 4, 12, 3, colour))
            drawn.append(text(left + 16, top + _LINE * down + 9, name, size=SMALL))
            left += width_of(name, SMALL) + 26
    if len(lines) > room:
        hidden = f"{sum(map(len, lines[room:]))} more"
        drawn.append(text(frame.right, frame.bottom + 13 - _LINE, hidden, size=SMALL, anchor="end"))
    return drawn, frame.inside(bottom=_LINE * len(shown) + 2)


def grid(frame: Frame, places: Sequence[tuple[float, str]]) -> list[str]:
    """Level lines with words to their left."""
    drawn = [rule(frame.x, y, frame.right, y, GRID) for y, _ in places]
    return drawn + [text(frame.x - 5, y + 4, words, GREY, SMALL, "end") for y, words in places]
