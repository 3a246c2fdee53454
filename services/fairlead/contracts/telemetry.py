"""Declarations of all Prometheus metrics: name, labels, help text and buckets. Nothing is counted here.

Services, alert rules, dashboards and tests all use these declarations: if a name changes here, their build fails until
they use the new one. Names are `fairlead_<process>_<noun>_<unit or total>`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]

MODEL_IDENTITY = ("model", "version")
"""The labels that every metric of a model service carries first."""

# One logarithmic grid for all durations, 0.25 ms to 10 s in factors of about 2: it starts below the gateway's first
# boundary (1 ms), because queue and compute are often shorter than that, and shares the boundaries above it.
SECONDS = (0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family. `labels` are in the order in which the code sets them."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


def _model(name: str, kind: Kind, help: str, *labels: str, buckets: tuple[float, ...] = ()) -> Metric:
    return Metric(f"fairlead_model_{name}", kind, help, (*MODEL_IDENTITY, *labels), buckets)


# What a client sees. protocol: predict | v1 | v2 | other (health, docs, metrics and paths that do not exist).
# code 499: the client disconnected before the response.
MODEL_REQUESTS = _model("requests_total", "counter", "Answered requests by protocol and status", "protocol", "code")
MODEL_REQUEST_SECONDS = _model(
    "request_seconds",
    "histogram",
    "From the last byte of the request head to the last byte of the response",
    "protocol",
    buckets=SECONDS,
)
MODEL_IN_FLIGHT = _model("in_flight_requests", "gauge", "Prediction requests being answered now; autoscaling reads it")

# Where the time went: queue_seconds + compute_seconds (+ decoding) = request_seconds.
MODEL_QUEUE_SECONDS = _model(
    "queue_seconds", "histogram", "From admission of a request to the start of its first batch", buckets=SECONDS
)
MODEL_COMPUTE_SECONDS = _model(
    "compute_seconds", "histogram", "One call of the model's code, for one batch", buckets=SECONDS
)
MODEL_BATCH_ROWS = _model("batch_rows", "histogram", "Rows in one call of the model's code", buckets=ROWS)
MODEL_ROWS = _model("rows_total", "counter", "Rows by outcome", "outcome")
MODEL_QUEUE_ROWS = _model("queue_rows", "gauge", "Rows admitted and not yet handed to the model")
MODEL_QUEUE_BYTES = _model(
    "queue_bytes", "gauge", "Estimated memory of the rows in the queue, and of large requests until they are answered"
)

# Work that was not done. reason: queue_full | deadline | disconnected | not_ready | spill.
MODEL_REJECTED = _model("rejected_total", "counter", "Requests dropped before the model saw them", "reason")
MODEL_FAILURES = _model("failures_total", "counter", "Requests that failed in the model's own code")
# outcome: timed_out | returned. What timed out and did not return hangs, or its process was ended.
MODEL_LATE_CALLS = _model(
    "late_calls_total", "counter", "Calls of the model that took longer than call_timeout_s", "outcome"
)
# reason: timed_out | ended.
MODEL_PROCESS_RESTARTS = _model(
    "process_restarts_total", "counter", "Replaced processes of a model with isolation: process", "reason"
)

# What this process is.
MODEL_INFO = _model(
    "info", "gauge", "1; the labels describe the served model", "artifact", "folder", "format", "fairlead"
)
MODEL_PHASE = _model("phase", "gauge", "1 for the phase the process is in, 0 for the others", "phase")
MODEL_LOAD_SECONDS = _model("load_seconds", "gauge", "Time from the start of loading to ready")
MODEL_BATCHING = _model(
    "batching_enabled",
    "gauge",
    "1 if rows of several requests may share a call; reason says why or why not",
    "reason",
)

MODEL_SERVICE: tuple[Metric, ...] = (
    MODEL_REQUESTS,
    MODEL_REQUEST_SECONDS,
    MODEL_IN_FLIGHT,
    MODEL_QUEUE_SECONDS,
    MODEL_COMPUTE_SECONDS,
    MODEL_BATCH_ROWS,
    MODEL_ROWS,
    MODEL_QUEUE_ROWS,
    MODEL_QUEUE_BYTES,
    MODEL_REJECTED,
    MODEL_FAILURES,
    MODEL_LATE_CALLS,
    MODEL_PROCESS_RESTARTS,
    MODEL_INFO,
    MODEL_PHASE,
    MODEL_LOAD_SECONDS,
    MODEL_BATCHING,
)
"""All metric families of a model service, in the order declared above."""


def _control(name: str, kind: Kind, help: str, *labels: str, buckets: tuple[float, ...] = ()) -> Metric:
    return Metric(f"fairlead_control_{name}", kind, help, labels, buckets)


# Routes and gateways. Only the leading replica reports these, so that sums over replicas count nothing twice.
CONTROL_REVISION = _control("revision", "gauge", "The number of the revision in force", "model")
CONTROL_WEIGHT = _control(
    "weight", "gauge", "Share of the requests, in 1/10000; role: stable | candidate", "model", "version", "role"
)
CONTROL_SHARE = _control(
    "share", "gauge", "What it really got in this step, in 1/10000, as the weight", "model", "version", "role"
)
CONTROL_CONDITION = _control("condition", "gauge", "1 while a condition of the route holds", "model", "condition")
CONTROL_DOWN = _control("down", "gauge", "1 while the model served before and its users get errors now", "model")
CONTROL_DEGRADED = _control("degraded", "gauge", "1 while the model serves with fewer instances than it needs", "model")
CONTROL_READY = _control("ready_instances", "gauge", "Instances that are ready, by role", "model", "role")
CONTROL_WANTED = _control(
    "wanted_replicas",
    "gauge",
    "Minimum replicas of a version; 0 leaves it to the autoscaler",
    "model",
    "version",
    "identity",
)
CONTROL_GATEWAY_UP = _control("gateway_up", "gauge", "1 while a gateway serves and answers", "gateway")
CONTROL_GATEWAY_REVISION = _control(
    "gateway_revision", "gauge", "The revision a gateway has acknowledged", "gateway", "model"
)
CONTROL_GATEWAY_REFUSES = _control("gateway_refuses", "gauge", "1 while a gateway rejects its configuration", "gateway")
CONTROL_SEQUENCE = _control("publication_sequence", "gauge", "The number of the last publication")
CONTROL_REFUSED = _control(
    "publication_refused", "gauge", "1 while an update is held back because it would remove all routes"
)

# Reported by every replica.
CONTROL_LEADER = _control("leader", "gauge", "1 for the leading replica")
CONTROL_RECONCILE_SECONDS = _control(
    "reconcile_seconds", "histogram", "One tick of the engine, over all routes", buckets=SECONDS
)
# kind: cds | lds | rds. answer: new | same | loading | crowded | unfit.
CONTROL_XDS_ANSWERS = _control(
    "xds_answers_total", "counter", "Discovery requests of gateways, by kind and answer", "kind", "answer"
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
    CONTROL_GATEWAY_UP,
    CONTROL_GATEWAY_REVISION,
    CONTROL_GATEWAY_REFUSES,
    CONTROL_SEQUENCE,
    CONTROL_REFUSED,
    CONTROL_LEADER,
    CONTROL_RECONCILE_SECONDS,
    CONTROL_XDS_ANSWERS,
)
"""All metric families of the control plane, in the order declared above."""
