"""How values are coloured and how columns are named, for the dashboards."""

from __future__ import annotations

from collections.abc import Mapping

from monitoring.panels import Json

PERCENT = "percentunit"


def red_from(value: float) -> Json:
    """Green below the value, red from it on."""
    steps = [{"color": "green", "value": None}, {"color": "red", "value": value}]
    return {"thresholds": {"mode": "absolute", "steps": steps}}


def words(**colours: str) -> Json:
    """Words for the values 0 and 1 with their colours: `words(good="green", bad="red")`."""
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
