"""Which unit a query has, as far as the names in it say, and which unit of Grafana shows it."""

from __future__ import annotations

import re

from fairlead.contracts.telemetry import Metric
from monitoring.panels import Panel
from prometheus.declared import DECLARED

_PER_SECOND = re.compile(r"\b(?:rate|irate)\(")
_SHOWN = {
    "requests": "short",
    "requests/s": "reqps",
    "rows/s": "rowsps",
    "labels/s": "cps",
    "seconds": "s",
    "milliseconds": "ms",
    "bytes": "bytes",
    "percent": "percent",
    "ratio": "percentunit",
    "watts": "watt",
    "degrees Celsius": "celsius",
    "dollars": "currencyUSD",
    "1/10000": "",
    "mebibytes": "",
}
"""The unit of Grafana that shows a unit; empty: none does. Anything else is a plain number, `short`."""
_RECORDED = (
    (r"^model_version_le:", "requests/s"),  # a heatmap of buckets
    (r":fairlead_drift_(?:psi|candidate|lost|independent|rows|values|spread|requests|reference_rows)", "number"),
    (r":ratio", "ratio"),
    (r"_seconds:", "seconds"),
    (r"_bytes:", "bytes"),
    (r"_dollars_", "dollars"),
    (r"fairlead_(?:requests|retries):rate|_tries:rate", "requests/s"),
    (r"_readings:rate", "readings/s"),
)


def unit_of(name: str, expression: str) -> str:
    """The unit of a metric or a recorded series, as this query reads it. Raises KeyError for an unknown metric."""
    if ":" in name:
        return next((unit for pattern, unit in _RECORDED if re.search(pattern, name)), "number")
    metric = _known(name)
    per_second = metric.kind != "gauge" and _PER_SECOND.search(expression)
    if metric.kind == "histogram":
        return "observations/s" if name.endswith("_count") and per_second else metric.unit
    return f"{metric.unit}/s" if per_second else metric.unit


def wrong_unit(panel: Panel) -> str:
    """Which query does not fit the unit of its panel; empty: all do. A table has columns of several units."""
    for query in panel.queries if panel.kind not in ("table", "heatmap", "state-timeline") else ():
        units = {unit_of(name, query.expression) for name in _names(query.expression)}
        allowed = {_SHOWN.get(unit, "short") for unit in units} | {"ops" for unit in units if unit.endswith("/s")}
        if " / " in query.expression or "count" in query.expression:  # a share of two numbers, or a mean
            allowed |= {"percentunit", "short"}
        if units & {"seconds", "milliseconds"}:
            allowed -= {"short"}
        if allowed and panel.unit not in allowed:
            return f"{panel.title}: {panel.unit} for {', '.join(sorted(units))}: {query.expression}"
    return ""


def _names(expression: str) -> list[str]:
    """The series that are counted: not those that only say which version something belongs to."""
    counted = re.sub(r"\*\s*on \(.*?\) group_left.*$", "", expression)
    found = re.findall(r"\b[A-Za-z_][\w:]*(?!\w)", re.sub(r'"[^"]*"', "", counted))
    return [one for one in found if ":" in one or re.match(r"(?:fairlead|envoy|process|kube|keda|DCGM)_\w+$", one)
            and any(one == metric.name or one.startswith(f"{metric.name}_") for metric in DECLARED)]  # fmt: skip


def _known(name: str) -> Metric:
    found = [
        one for one in DECLARED if name in (one.name, *(f"{one.name}_{end}" for end in ("bucket", "sum", "count")))
    ]
    if not found:
        raise KeyError(name)
    return found[0]
