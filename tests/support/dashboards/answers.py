"""Asks a Prometheus what the panels of a dashboard's JSON ask, for a reader who has made some choices."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from support.prometheus import Prometheus

Json = Mapping[str, Any]
POINTS = 90
"""About how many points a line has."""


@dataclass(frozen=True)
class Series:
    """One line, or one row: its name in the legend, its labels, and its finite values as (second, value)."""

    name: str
    labels: Mapping[str, str]
    values: tuple[tuple[float, float], ...]

    @property
    def last(self) -> float:
        """The newest value."""
        return self.values[-1][1]


@dataclass(frozen=True)
class Answered:
    """A panel's JSON, and what each of its queries found, by `refId`."""

    panel: Json
    found: Mapping[str, tuple[Series, ...]]

    @property
    def series(self) -> list[Series]:
        """What all of its queries found."""
        return [one for series in self.found.values() for one in series]

    @property
    def title(self) -> str:
        """The panel's title."""
        return str(self.panel["title"])


@dataclass(frozen=True)
class Asked:
    """A dashboard's JSON with the answers to all of its queries, from 0 to `seconds`."""

    document: Json
    choices: Mapping[str, str]
    panels: tuple[Answered, ...]
    marks: tuple[float, ...]
    """When its annotations say that something happened."""
    seconds: float


def ask(prometheus: Prometheus, document: Json, choices: Mapping[str, str], seconds: float, end: float) -> Asked:
    """What every panel of a dashboard finds in the seconds before `end`. `choices` are the values of its variables."""
    clock = _Clock(prometheus, choices, end, seconds)
    return Asked(
        document,
        choices,
        tuple(
            Answered(one, {target["refId"]: tuple(clock.asked(target)) for target in one["targets"]})
            for one in document["panels"]
            if one["type"] != "row"
        ),
        tuple(sorted({at for one in document["annotations"]["list"] for at in clock.marked(one["expr"])})),
        seconds,
    )


@dataclass(frozen=True)
class _Clock:
    prometheus: Prometheus
    choices: Mapping[str, str]
    end: float
    seconds: float

    def asked(self, target: Json) -> Iterator[Series]:
        expression = self._written(target["expr"])
        if target["instant"]:
            found = [(one["metric"], [one["value"]]) for one in self.prometheus.query(expression, self.end)]
        else:
            found = [(one["metric"], one["values"]) for one in self._ranged(expression)]
        for labels, values in found:
            numbers = tuple(
                (at - self.end + self.seconds, number) for at, text in values if math.isfinite(number := float(text))
            )
            if numbers:
                yield Series(_named(target["legendFormat"], labels), labels, numbers)

    def marked(self, expression: str) -> Iterator[float]:
        """The beginnings of what an annotation finds."""
        step = max(1, round(self.seconds / POINTS))
        for one in self._ranged(self._written(expression)):
            before = -math.inf
            for at, _ in one["values"]:
                if at - before > 1.5 * step:
                    yield at - self.end + self.seconds
                before = at

    def _ranged(self, expression: str) -> list[dict[str, Any]]:
        step = max(1, round(self.seconds / POINTS))
        return self.prometheus.query_range(expression, self.seconds, self.end, step)

    def _written(self, expression: str) -> str:
        return re.sub(r"\$([a-z_]\w*)", lambda name: self.choices[name[1]], expression)


def _named(legend: str, labels: Mapping[str, str]) -> str:
    """The name as Grafana writes it: a label that is not there is written as nothing, which is a fault."""
    if legend == "__auto":
        return ", ".join(f"{name}={value}" for name, value in sorted(labels.items()) if name != "__name__") or "Value"
    return re.sub(r"{{(\w+)}}", lambda label: labels.get(label[1], ""), legend)


def faults(answered: Answered) -> list[str]:
    """Empty or lost labels in the legend, and lines that nobody can tell apart."""
    names = [one.name for one in answered.series]
    found = []
    for target in answered.panel["targets"]:
        for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
            if any(not one.labels.get(label) for one in answered.found[target["refId"]]):
                found.append(f"{answered.title}: no label {label}")
    if answered.panel["type"] in ("timeseries", "state-timeline") and len(set(names)) < len(names):
        found.append(f"{answered.title}: two lines are called {max(names, key=names.count)!r}")
    return found
