"""What a panel shows now or over time: the answers of Prometheus, put together as Grafana's transformations do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitoring.panels import Panel
from support.prometheus import Prometheus


@dataclass(frozen=True)
class Line:
    """The name that the legend gives, seconds from the beginning of the picture, and values."""

    name: str
    times: Sequence[float]
    values: Sequence[float]


@dataclass(frozen=True)
class Table:
    """The names of the columns, and rows of cells: numbers, or text for labels. None: no value."""

    columns: Sequence[str]
    rows: Sequence[Sequence[float | str | None]]


@dataclass(frozen=True)
class Reader:
    """Who looks at a dashboard: their Prometheus, what they have chosen, and how many seconds they see."""

    prometheus: Prometheus
    choices: Mapping[str, str]
    seconds: float

    def asked(self, expression: str) -> str:
        """An expression with what the reader has chosen. KeyError for a choice that does not exist."""
        return re.sub(r"\$([a-z_]\w*)", lambda name: self.choices[name[1]], expression)

    def lines(self, panel: Panel, now: float) -> list[Line]:
        """The lines of a panel over time."""
        found = []
        for query in panel.queries:
            for one in self.prometheus.query_range(self.asked(query.expression), self.seconds):
                name = _named(query.legend, one["metric"])
                times = [at - now + self.seconds for at, _ in one["values"]]
                found.append(Line(name, times, [float(value) for _, value in one["values"]]))
        return sorted(found, key=lambda line: line.name)

    def table(self, panel: Panel) -> Table:
        """What a panel with a table shows now."""
        answers = [self.prometheus.query(self.asked(query.expression)) for query in panel.queries]
        for one in panel.transformations:
            if one["id"] == "groupingToMatrix":
                return _matrix(answers[0], one["options"])
        options = next((one["options"] for one in panel.transformations if one["id"] == "organize"), {})
        renamed, hidden = options.get("renameByName", {}), options.get("excludeByName", {})
        names = ["Value"] if len(answers) == 1 else [f"Value #{'ABCDEFGHIJ'[at]}" for at in range(len(answers))]
        rows: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
        for name, answer in zip(names, answers, strict=True):
            for one in answer:
                labels = tuple(sorted((key, value) for key, value in one["metric"].items() if key not in hidden))
                rows.setdefault(labels, {})[name] = float(one["value"][1])
        keys = sorted({key for labels in rows for key, _ in labels})
        shown = [name for name in names if name not in hidden]
        cells = [[*(dict(labels).get(key) for key in keys), *map(row.get, shown)] for labels, row in rows.items()]
        return Table([*keys, *(renamed.get(name, name) for name in shown)], cells)


def _matrix(answer: Sequence[Mapping[str, Mapping[str, str]]], options: Mapping[str, str]) -> Table:
    down, across = options["rowField"], options["columnField"]
    found: dict[str, dict[str, float]] = {}
    for one in answer:
        labels = one["metric"]
        found.setdefault(labels.get(down, ""), {})[labels.get(across, "")] = float(one["value"][1])  # type: ignore[call-overload]
    columns = sorted({name for row in found.values() for name in row})
    rows = [[name, *(found[name].get(column) for column in columns)] for name in sorted(found)]
    return Table([f"{down}\\{across}", *columns], rows)


def _named(legend: str, labels: Mapping[str, str]) -> str:
    if not legend:
        return ", ".join(f"{key}={value}" for key, value in sorted(labels.items())) or "value"
    return re.sub(r"{{(\w+)}}", lambda label: labels[label[1]], legend)
