"""The page docs/telemetry.md: every metric, from the telemetry contract."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.contracts.control_telemetry import CONTROL_PLANE
from fairlead.contracts.drift_telemetry import MODEL_DRIFT, MODEL_FEEDBACK, MODEL_QUALITY, MODEL_VECTORS
from fairlead.contracts.gateway_telemetry import GATEWAY
from fairlead.contracts.outside_telemetry import OUTSIDE
from fairlead.contracts.telemetry import MODEL_SERVICE, PROCESS, Metric

_HEAD = """\
# Telemetry

<!-- Written by `python -m monitoring` from the modules of telemetry in contracts/. -->

All metrics that Fairlead emits, and those of others that it reads. A test scrapes a running platform and compares. How
to scrape it, and rules, alerts and dashboards: [monitoring](monitoring.md). Words: [glossary](glossary.md).

Every scrape adds the labels `namespace`, `job`, `instance` and `fairlead_process` (`gateway`, `control-plane` or
`model`). A histogram has the series `_bucket` with the label `le`, `_sum` and `_count`.
"""
_SECTIONS: tuple[tuple[str, str, tuple[Metric, ...]], ...] = (
    (
        "Model services",
        "`/metrics` of each service. [More about them](model-service.md#metrics).",
        MODEL_SERVICE,
    ),
    (
        "Drift",
        "`/metrics/drift` of each service. Without a profile there is only the first. [More about them](drift.md).",
        MODEL_DRIFT,
    ),
    (
        "Vectors",
        "`/metrics/drift` of each service whose profile has vectors. [More about them](drift.md#vectors).",
        MODEL_VECTORS,
    ),
    (
        "Quality",
        "`/metrics/drift` of each service whose profile was built with labels. [More about them](feedback.md).",
        MODEL_QUALITY,
    ),
    (
        "Feedback",
        "`/metrics/drift` of each service that takes feedback. [More about them](feedback.md).",
        MODEL_FEEDBACK,
    ),
    (
        "Control plane",
        "`/metrics` of each replica. All but `leader`, `reconcile_seconds` and `xds_answers_total` come from the\n"
        "leader alone. Those of a rollout exist while there is one.",
        CONTROL_PLANE,
    ),
    (
        "Gateways",
        "Envoy's `/stats/prometheus`. `fairlead_version` is written with underscores: `1_1_0`; the recorded series\n"
        "have dots. What users get is in the roles `split` (stable's share) and `aggregate` (the candidate's); [the\n"
        "roles](gateway.md#statistics).",
        GATEWAY,
    ),
    (
        "Python processes",
        "Model services and the control plane have these too; `process_` ones only on Linux.",
        PROCESS,
    ),
    (
        "Other programs",
        "For the dashboard of capacity and two alerts: kube-state-metrics (`kube_`), KEDA's operator (`keda_`) and\n"
        "the DCGM exporter (`DCGM_`). `namespace` and `pod` are those of the object: scrape with `honorLabels: true`.\n"
        "Of GPUs `exported_namespace` and `exported_pod` are read, too.",
        OUTSIDE,
    ),
)


def text() -> str:
    """The page."""
    parts = [_HEAD]
    for title, about, metrics in _SECTIONS:
        parts.append(f"\n## {title}\n\n{about}\n\n{_table(metrics)}{_buckets(metrics)}")
    return "".join(parts)


def _table(metrics: Sequence[Metric]) -> str:
    rows = (
        f"| `{one.name}` | {one.kind} | {one.unit} | {', '.join(_label(one, label) for label in one.labels) or '-'} | "
        f"{one.help} |\n"
        for one in metrics
    )
    return "| name | kind | unit | labels | means |\n|---|---|---|---|---|\n" + "".join(rows)


def _buckets(metrics: Sequence[Metric]) -> str:
    """A paragraph for each set of boundaries."""
    shared: dict[tuple[float, ...], list[str]] = {}
    for one in metrics:
        if one.buckets:
            shared.setdefault(one.buckets, []).append(f"`{one.name}`")
    return "".join(f"\nBuckets of {', '.join(names)}: {_numbers(found)}.\n" for found, names in shared.items())


def _label(metric: Metric, label: str) -> str:
    values = metric.values.get(label)
    return f"`{label}`" + (f" ({', '.join(values)})" if values else "")


def _numbers(numbers: Sequence[float]) -> str:
    return ", ".join(f"{one:g}" for one in numbers)
