"""Declarations of the control plane's metrics."""

from __future__ import annotations

from typing import Literal, get_args

from fairlead.contracts.telemetry import SECONDS, Declared, Metric

WEIGHT = "1/10000"
ROLES = ("stable", "candidate")
VERDICTS = ("pass", "fail", "inconclusive")


_control = Declared("control plane", "fairlead_control_")
_route = Declared("control plane", "fairlead_control_", ("fairlead_namespace", "model"))
"""Of a model, by its namespace. Every scrape adds the namespace of the control plane, which may be another."""

# Routes and gateways. Only the leading replica reports these, so that sums over replicas count nothing twice.
CONTROL_REVISION = _route("revision", "gauge", "number", "The number of the revision in force")
CONTROL_WEIGHT = _route("weight", "gauge", WEIGHT, "Share of the requests, as the table says", "version", role=ROLES)
CONTROL_SHARE = _route(
    "share", "gauge", WEIGHT, "Share of the requests that it really got in this step", "version", role=ROLES
)
CONTROL_CONDITION = _route(
    "condition",
    "gauge",
    "0 or 1",
    "1 while a condition of the route holds; reason says why or why not",
    "condition",
    "reason",
)
CONTROL_DOWN = _route("down", "gauge", "0 or 1", "1 while the model served before and its users get errors now")
CONTROL_DEGRADED = _route("degraded", "gauge", "0 or 1", "1 while the model serves with fewer instances than it needs")
CONTROL_READY = _route(
    "ready_instances",
    "gauge",
    "instances",
    "Instances that are ready, by role",
    role=(*ROLES, "target", "previous"),
)
CONTROL_WANTED = _route(
    "wanted_instances",
    "gauge",
    "instances",
    "How many instances of a version its rollout needs at least; 0: none",
    "version",
    "identity",
)

# The rollout of a route, while it has one.
CONTROL_STEP = _route("step", "gauge", "number", "The step of the rollout, 0 before the first")
CONTROL_VERDICT = _route(
    "verdict",
    "gauge",
    "0 or 1",
    "1 for the verdict that a gate of the rollout has now, 0 for the others",
    "gate",
    verdict=VERDICTS,
)
CONTROL_EVIDENCE = _route(
    "evidence",
    "gauge",
    "ratio",
    "Evidence of a gate as a share of what decides: at 1 harm rolls back, and safe passes",
    "gate",
    side=("harm", "safe"),
)
CONTROL_COUNTED = _route(
    "counted_requests",
    "gauge",
    "requests",
    "Requests that this release has counted as evidence, the bad ones too",
    role=ROLES,
)
CONTROL_COUNTED_BAD = _route("counted_bad_requests", "gauge", "requests", "Those of them that were bad", role=ROLES)
CONTROL_SHADOW_PAIRS = _route(
    "shadow_pairs",
    "gauge",
    "pairs",
    "Mirrored requests of this release that both versions answered, by how the answers compare",
    outcome=("same", "class", "failed", "schema", "score"),
)

CONTROL_GATEWAY_UP = _control("gateway_up", "gauge", "0 or 1", "1 while a gateway serves and answers", "gateway")
CONTROL_GATEWAY_REVISION = _route(
    "gateway_revision", "gauge", "number", "The revision a gateway has acknowledged", "gateway"
)
CONTROL_GATEWAY_REFUSES = _control(
    "gateway_refuses", "gauge", "0 or 1", "1 while a gateway rejects its configuration", "gateway"
)
CONTROL_SEQUENCE = _control("publication_sequence", "gauge", "number", "The number of the last publication")
CONTROL_REFUSED = _control(
    "publication_refused", "gauge", "0 or 1", "1 while an update is held back because it would remove all routes"
)

CONTROL_CLIENT_USED = _control(
    "client_used_requests",
    "gauge",
    "requests",
    "Requests of a client in this day or month, where it has a quota for that",
    "client",
    period=("day", "month"),
)
CONTROL_CLIENT_QUOTA = _control(
    "client_quota_requests",
    "gauge",
    "requests",
    "The quota of a client for a day or a month",
    "client",
    period=("day", "month"),
)

# Reported by every replica.
CONTROL_LEADER = _control("leader", "gauge", "0 or 1", "1 for the leading replica")
CONTROL_RECONCILE_SECONDS = _control(
    "reconcile_seconds", "histogram", "seconds", "One tick of the engine, over all routes", buckets=SECONDS
)
XdsAnswer = Literal["new", "same", "loading", "crowded", "unfit", "unchecked", "refused"]
CONTROL_XDS_ANSWERS = _control(
    "xds_answers_total",
    "counter",
    "requests",
    "Discovery requests of gateways, by kind and answer",
    kind=("cds", "lds", "rds"),
    answer=get_args(XdsAnswer),
)

CONTROL_PLANE: tuple[Metric, ...] = (
    CONTROL_REVISION,
    CONTROL_WEIGHT,
    CONTROL_SHARE,
    CONTROL_CONDITION,
    CONTROL_DOWN,
    CONTROL_DEGRADED,
    CONTROL_READY,
    CONTROL_WANTED,
    CONTROL_STEP,
    CONTROL_VERDICT,
    CONTROL_EVIDENCE,
    CONTROL_COUNTED,
    CONTROL_COUNTED_BAD,
    CONTROL_SHADOW_PAIRS,
    CONTROL_GATEWAY_UP,
    CONTROL_GATEWAY_REVISION,
    CONTROL_GATEWAY_REFUSES,
    CONTROL_SEQUENCE,
    CONTROL_REFUSED,
    CONTROL_CLIENT_USED,
    CONTROL_CLIENT_QUOTA,
    CONTROL_LEADER,
    CONTROL_RECONCILE_SECONDS,
    CONTROL_XDS_ANSWERS,
)
"""All metric families of the control plane, in the order declared above."""
