"""What is wrong with the query of a panel, against a real Prometheus: nothing found, a lost label, no valid query."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from monitoring.panels import Panel, Query
from support.prometheus import Prometheus

NOTHING = "nothing found"


def fault_with(prometheus: Prometheus, panel: Panel, query: Query, choices: Mapping[str, str], seconds: float) -> str:
    """The fault of a query in the last seconds, for a reader with these choices; empty if there is none."""
    try:
        found = prometheus.query_range(as_asked(query.expression, choices), seconds)
    except ValueError as refused:
        return f"{panel.title}: no valid query: {refused}"
    values = [float(value) for one in found for _, value in one["values"]]
    if not any(math.isfinite(one) for one in values):
        return f"{panel.title}: {NOTHING}: {query.expression}"
    named = set(re.findall(r"{{(\w+)}}", query.legend))
    lost = {label for one in found for label in named - one["metric"].keys()}
    return f"{panel.title}: no label {sorted(lost)}: {query.expression}" if lost else ""


def as_asked(expression: str, choices: Mapping[str, str]) -> str:
    """With values for Grafana's variables. KeyError for one that does not exist."""
    return re.sub(r"\$([a-z_]\w*)", lambda name: choices[name[1]], expression)
