"""Panels with numbers: one number, and tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from support.dashboards.answers import Answered
from support.dashboards.canvas import GRID, INK, box, cut, rule, text
from support.dashboards.frame import Frame, no_data
from support.dashboards.looks import colour_of, defaults
from support.dashboards.units import written

Row = Mapping[str, str | float]
_LINE = 22


def draw_stat(answered: Answered, frame: Frame) -> list[str]:
    """The newest number of the first series, in the colour of its threshold."""
    if not answered.series:
        return no_data(frame)
    settings, value = defaults(answered.panel), answered.series[0].last
    words = written(value, settings["unit"], settings.get("decimals"))
    middle = frame.x + frame.width / 2
    return [
        text(middle, frame.y + frame.height / 2 + 12, words, colour_of(value, settings, INK), 34, "middle", bold=True)
    ]


def draw_table(answered: Answered, frame: Frame) -> list[str]:
    """The rows after the panel's transformations."""
    rows = table(answered)
    if not rows:
        return no_data(frame)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    width = frame.width / len(columns)
    drawn = [
        text(frame.x + 6 + width * across, frame.y + 15, cut(name, width - 8), INK, bold=True)
        for across, name in enumerate(columns)
    ]
    fits = int((frame.height - _LINE) / _LINE)
    for down, row in enumerate(rows[:fits]):
        top = frame.y + _LINE * (down + 1)
        drawn.append(rule(frame.x, top, frame.right, top, GRID))
        for across, name in enumerate(columns):
            drawn += _cell(answered, row.get(name), name, frame.x + width * across, top, width)
    if len(rows) > fits:
        drawn.append(text(frame.right, frame.bottom + 4, f"{len(rows) - fits} more", anchor="end"))
    return drawn


def _cell(answered: Answered, value: str | float | None, name: str, x: float, top: float, width: float) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [text(x + 6, top + 15, cut(value, width - 8), INK)]
    settings = defaults(answered.panel, name)
    filled = settings.get("custom", {}).get("cellOptions", {}).get("type") == "color-background"
    ground = [box(x + 1, top + 1, width - 2, _LINE - 2, colour_of(value, settings, "none"))] if filled else []
    return [*ground, text(x + 6, top + 15, written(value, settings["unit"], settings.get("decimals")), INK)]


def table(answered: Answered) -> list[Row]:
    """The rows of a panel whose queries have the format `table`, after its transformations."""
    several = len(answered.found) > 1
    rows: list[Row] = [
        {**one.labels, (f"Value #{ref}" if several else "Value"): one.last}
        for ref, series in answered.found.items()
        for one in series
    ]
    for one in answered.panel.get("transformations", ()) if rows else ():
        rows = _TRANSFORMATIONS[one["id"]](rows, one["options"])
    return rows


def _merged(rows: Sequence[Row], _: Mapping[str, object]) -> list[Row]:
    """Rows become one that are equal in all labels that every row has."""
    shared = set.intersection(*({name for name, value in row.items() if isinstance(value, str)} for row in rows))
    found: dict[tuple[str | float, ...], dict[str, str | float]] = {}
    for row in rows:
        # With one query no two rows are the same.
        key = tuple(row[name] for name in sorted(shared)) if "Value" not in row else (len(found),)
        found.setdefault(key, {}).update(row)
    return list(found.values())


def _organized(rows: Sequence[Row], options: Mapping[str, Mapping[str, object]]) -> list[Row]:
    hidden, names = options["excludeByName"], options["renameByName"]
    return [{str(names.get(name, name)): value for name, value in row.items() if not hidden.get(name)} for row in rows]


def _matrix(rows: Sequence[Row], options: Mapping[str, str]) -> list[Row]:
    down, across, value = options["rowField"], options["columnField"], options["valueField"]
    columns = list(dict.fromkeys(str(row[across]) for row in rows))
    found: dict[str, dict[str, str | float]] = {}
    for row in rows:
        empty: dict[str, str | float] = {f"{down}\\{across}": str(row[down])}
        found.setdefault(str(row[down]), empty)[str(row[across])] = row[value]
    return [{name: one[name] for name in (f"{down}\\{across}", *columns) if name in one} for one in found.values()]


def _sorted(rows: Sequence[Row], options: Mapping[str, Sequence[Mapping[str, str]]]) -> list[Row]:
    for one in options["sort"]:
        rows = sorted(rows, key=lambda row, by=one["field"]: str(row[by]))  # type: ignore[misc]
    return list(rows)


_TRANSFORMATIONS: Mapping[str, Callable[[list[Row], Any], list[Row]]] = {
    "merge": _merged,
    "organize": _organized,
    "groupingToMatrix": _matrix,
    "sortBy": _sorted,
}
