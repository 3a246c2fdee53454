"""How values are coloured and how columns are named, for the dashboards."""

from __future__ import annotations

from collections.abc import Mapping

from monitoring.panels import Json

PERCENT = "percentunit"


def red_from(value: float) -> Json:
    """Green below the value, red from it on."""
    steps = [{"color": "green", "value": None}, {"color": "red", "value": value}]
    return {"thresholds": {"mode": "absolute", "steps": steps}}


def heat(watch: float, act: float) -> Json:
    """Cells in green, yellow from the first value on and red from the second."""
    steps = [{"color": "green", "value": None}, {"color": "yellow", "value": watch}, {"color": "red", "value": act}]
    return {
        "decimals": 2,
        "thresholds": {"mode": "absolute", "steps": steps},
        "custom": {"align": "auto", "cellOptions": {"type": "color-background"}},
    }


def words(**colours: str) -> Json:
    """Words for the values 0, 1 and so on with their colours: `words(good="green", bad="red")`."""
    options = {
        str(value): {"text": word, "color": colour, "index": value}
        for value, (word, colour) in enumerate(colours.items())
    }
    return {"mappings": [{"type": "value", "options": options}]}


def columns(names: Mapping[str, str], *hidden: str) -> tuple[Json, ...]:
    """One table of several queries: their columns side by side, with these names, without the hidden ones."""
    excluded = {name: True for name in ("Time", "__name__", *hidden)}
    organize = {"renameByName": dict(names), "excludeByName": excluded}
    return ({"id": "merge", "options": {}}, {"id": "organize", "options": organize})


def column(name: str, unit: str, decimals: int | None = None) -> Json:
    """The unit of one column of a table."""
    places = [] if decimals is None else [{"id": "decimals", "value": decimals}]
    return {"matcher": {"id": "byName", "options": name}, "properties": [{"id": "unit", "value": unit}, *places]}


def matrix(down: str, across: str) -> tuple[Json, ...]:
    """A table of one query: a line for each value of one label, in their order, a column for each of the other.

    Prometheus has no order of its own.
    """
    grouped = {"rowField": down, "columnField": across, "valueField": "Value"}
    order = {"fields": {}, "sort": [{"field": corner(down, across)}]}
    return ({"id": "groupingToMatrix", "options": grouped}, {"id": "sortBy", "options": order})


def corner(down: str, across: str) -> str:
    """What Grafana calls the first column of a matrix."""
    return f"{down}\\{across}"
