"""What a panel's JSON says of its colours, limits and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from support.dashboards.canvas import NAMED, PALETTE

Json = Mapping[str, Any]


def defaults(panel: Json, column: str = "") -> Json:
    """The field settings of a panel, for a column with those that it overrides."""
    settings = dict(panel["fieldConfig"]["defaults"])
    for one in panel["fieldConfig"]["overrides"]:
        if one["matcher"] == {"id": "byName", "options": column}:
            settings |= {each["id"]: each["value"] for each in one["properties"]}
    return settings


def steps(settings: Json) -> Sequence[tuple[float, str]]:
    """The thresholds, as (from, colour). The first one has no limit below."""
    found = settings.get("thresholds", {}).get("steps", [])
    return [(float("-inf") if one["value"] is None else one["value"], NAMED[one["color"]]) for one in found]


def colour_of(value: float, settings: Json, otherwise: str) -> str:
    """The colour of a value: that of its mapping, or of the last threshold that it has reached."""
    mapped = mapping(settings).get(value)
    if mapped is not None:
        return mapped[1]
    reached = [colour for limit, colour in steps(settings) if value >= limit]
    return reached[-1] if reached else otherwise


def mapping(settings: Json) -> Mapping[float, tuple[str, str]]:
    """The words and colours of values."""
    return {
        float(value): (one["text"], NAMED[one["color"]])
        for each in settings.get("mappings", [])
        for value, one in each["options"].items()
    }


def colour(at: int) -> str:
    """The colour of line number `at`."""
    return PALETTE[at % len(PALETTE)]


def runs(values: Sequence[tuple[float, float]], gap: float) -> list[list[tuple[float, float]]]:
    """The values, cut where more than `gap` seconds lie between two."""
    found: list[list[tuple[float, float]]] = [[values[0]]]
    for before, one in pairwise(values):
        if one[0] - before[0] > gap:
            found.append([])
        found[-1].append(one)
    return found
