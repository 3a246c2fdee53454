"""Small functions that build a Grafana dashboard as the JSON of its classic schema (schemaVersion 39, Grafana 10.4 on).

No library: the one that Grafana publishes has a version that sorts above its newer ones, so no range of versions finds
it, and 30 lines of JSON are all that the dashboards need of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]
Kind = Literal["timeseries", "stat", "table", "state-timeline", "heatmap", "barchart"]
WIDTH = 24
DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
SCHEMA = 39


@dataclass(frozen=True, slots=True)
class Query:
    """A query and what its lines are called: `{{version}}`, or the name of a table's column."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `unit` is Grafana's; `description` says what the reader sees and what is bad."""

    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: Kind = "timeseries"
    width: int = 8
    height: int = 8
    options: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    overrides: tuple[Json, ...] = ()
    transformations: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and its panels, from left to right."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of a dashboard: the values of one label. Nothing chosen means all."""

    name: str
    values: str
    several: bool = True


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard. Links and bookmarks name its `uid`, which never changes."""

    uid: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]
    annotations: tuple[Query, ...] = ()


def queries(dashboard: Dashboard) -> Iterator[tuple[Panel, Query]]:
    """Every query of every panel."""
    for row in dashboard.rows:
        for panel in row.panels:
            for query in panel.queries:
                yield panel, query


def to_json(dashboard: Dashboard, others: Sequence[Dashboard]) -> Json:
    """The document that Grafana imports. `others` become links at the top."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["fairlead"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": [_annotation(one) for one in dashboard.annotations]},
        "templating": {"list": [_DATASOURCE_VARIABLE, *map(_variable, dashboard.variables)]},
        "links": [_link(one) for one in others if one.uid != dashboard.uid],
        "panels": list(_placed(dashboard.rows)),
    }


def _placed(rows: Sequence[Row]) -> Iterator[Json]:
    """Each row below the one before, and its panels as high up as they fit, those further left first."""
    top, number = 0, 0
    for row in rows:
        number += 1
        yield {"id": number, "type": "row", "title": row.title, "collapsed": False, "gridPos": _at(0, top, WIDTH, 1)}
        used = [top + 1] * WIDTH
        for panel in row.panels:
            number += 1
            y, x = min((max(used[at : at + panel.width]), at) for at in range(WIDTH - panel.width + 1))
            used[x : x + panel.width] = [y + panel.height] * panel.width
            yield {"id": number, **_panel(panel), "gridPos": _at(x, y, panel.width, panel.height)}
        top = max(used)


def _at(x: int, y: int, w: int, h: int) -> Json:
    return {"x": x, "y": y, "w": w, "h": h}


def _panel(panel: Panel) -> Json:
    defaults = {"unit": panel.unit, **_DEFAULTS[panel.kind], **panel.defaults}
    if panel.kind == "timeseries" and "thresholds" in defaults:
        # Without this Grafana draws no threshold beside lines.
        defaults["custom"] = {**defaults["custom"], "thresholdsStyle": {"mode": "dashed"}}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": list(panel.overrides)},
        "options": {**_OPTIONS[panel.kind], **panel.options},
        "targets": [_target(panel, at, query) for at, query in enumerate(panel.queries)],
        **({"transformations": list(panel.transformations)} if panel.transformations else {}),
    }


def _target(panel: Panel, at: int, query: Query) -> Json:
    form = {"table": "table", "barchart": "table", "heatmap": "heatmap"}.get(panel.kind, "time_series")
    now = panel.kind in ("stat", "table", "barchart")
    return {
        "refId": "ABCDEFGHIJ"[at],
        "datasource": DATASOURCE,
        "expr": query.expression,
        "legendFormat": query.legend or "__auto",
        "format": form,
        "instant": now,
        "range": not now,
    }


def _annotation(query: Query) -> Json:
    return {
        "name": query.legend,
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": query.expression,
        "titleFormat": query.legend,
        "textFormat": "{{model}}",
        "step": "10s",
    }


def _variable(variable: Variable) -> Json:
    query = {"query": variable.values, "refId": variable.name}
    return {
        "name": variable.name,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": variable.values,
        "query": query,
        "refresh": 2,
        "sort": 1,
        "multi": variable.several,
        "includeAll": variable.several,
        "allValue": ".*" if variable.several else None,
        "current": {"text": ["All"], "value": ["$__all"]} if variable.several else {},
    }


def _link(dashboard: Dashboard) -> Json:
    return {
        "title": dashboard.title,
        "type": "link",
        "url": f"/d/{dashboard.uid}",
        "keepTime": True,
        "includeVars": True,
    }


_DATASOURCE_VARIABLE: Json = {
    "name": "datasource",
    "label": "Prometheus",
    "type": "datasource",
    "query": "prometheus",
    "current": {},
}
_DEFAULTS: Mapping[Kind, Json] = {
    "timeseries": {"min": 0, "custom": {"lineWidth": 1, "fillOpacity": 8, "showPoints": "never", "spanNulls": False}},
    "stat": {},
    "table": {"custom": {"align": "auto"}},
    "state-timeline": {"custom": {"fillOpacity": 70, "lineWidth": 0}},
    "heatmap": {},
    "barchart": {"min": 0},
}
_OPTIONS: Mapping[Kind, Json] = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "none"},
    "table": {"showHeader": True},
    "state-timeline": {
        "showValue": "never",
        "mergeValues": True,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
    },
    "heatmap": {
        "calculate": False,
        "cellGap": 0,
        "yAxis": {"unit": "ms"},
        "color": {"mode": "scheme", "scheme": "Blues"},
    },
    "barchart": {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}},
}
