"""Declarations of all Prometheus metrics: name, labels and their values, unit, help text and buckets. Nothing is
counted here.

Services, alert rules, dashboards and tests all use these declarations: if a name changes here, their build fails until
they use the new one. Names are `fairlead_<process>_<noun>_<unit or total>`. The control plane's are in
`control_telemetry`, the gateway's in `gateway_telemetry`, those of other programs in `outside_telemetry`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
Owner = Literal[
    "model service", "control plane", "gateway", "Python process", "kube-state-metrics", "KEDA", "DCGM exporter"
]

MODEL_IDENTITY = ("model", "version")
"""The labels that every metric of a model service carries first."""

# One logarithmic grid for all durations, 0.25 ms to 10 s in factors of about 2: it starts below the gateway's first
# boundary (1 ms), because queue and compute are often shorter than that, and shares the boundaries above it.
SECONDS = (0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family. `labels` are in the order in which the code sets them.

    `values` has all values of the labels that have few. A counter has its series with these values from the start,
    because `rate()` needs the first zero.
    """

    owner: Owner
    name: str
    kind: Kind
    unit: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Declared:
    """Declares metrics that have the beginning of their names and their first labels in common."""

    owner: Owner
    prefix: str = ""
    labels: tuple[str, ...] = ()
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """All values of the first labels that have few."""

    def __call__(
        self,
        name: str,
        kind: Kind,
        unit: str,
        help: str,
        /,
        *labels: str,
        buckets: tuple[float, ...] = (),
        **values: tuple[str, ...],
    ) -> Metric:
        """Labels with few values are given as keywords, after the others."""
        every = (*self.labels, *labels, *values)
        return Metric(self.owner, self.prefix + name, kind, unit, help, every, buckets, {**self.values, **values})


_model = Declared("model service", "fairlead_model_", MODEL_IDENTITY)

# What a client sees. other: health, docs, metrics and paths that do not exist. code 499: the client disconnected before
# the response.
PROTOCOLS = ("predict", "v1", "v2", "grpc", "other")
MODEL_REQUESTS = _model(
    "requests_total", "counter", "requests", "Answered requests by protocol and status", "protocol", "code"
)
MODEL_REQUEST_SECONDS = _model(
    "request_seconds",
    "histogram",
    "seconds",
    "From the last byte of the request head to the last byte of the response",
    "protocol",
    buckets=SECONDS,
)
MODEL_IN_FLIGHT = _model(
    "in_flight_requests", "gauge", "requests", "Prediction requests being answered now; autoscaling reads it"
)

# Where the time went: queue_seconds + compute_seconds (+ decoding) = request_seconds.
MODEL_QUEUE_SECONDS = _model(
    "queue_seconds",
    "histogram",
    "seconds",
    "From admission of a request to the start of its first batch",
    buckets=SECONDS,
)
MODEL_COMPUTE_SECONDS = _model(
    "compute_seconds", "histogram", "seconds", "One call of the model's code, for one batch", buckets=SECONDS
)
MODEL_BATCH_ROWS = _model("batch_rows", "histogram", "rows", "Rows in one call of the model's code", buckets=ROWS)
MODEL_ROWS = _model("rows_total", "counter", "rows", "Rows by outcome", outcome=("answered", "failed", "dropped"))
MODEL_QUEUE_ROWS = _model("queue_rows", "gauge", "rows", "Rows admitted and not yet handed to the model")
MODEL_QUEUE_BYTES = _model(
    "queue_bytes",
    "gauge",
    "bytes",
    "Estimated memory of the rows in the queue, and of large requests until they are answered",
)

# Work that was not done.
MODEL_REJECTED = _model(
    "rejected_total",
    "counter",
    "requests",
    "Requests dropped before the model saw them",
    reason=("queue_full", "deadline", "disconnected", "not_ready", "spill"),
)
MODEL_FAILURES = _model("failures_total", "counter", "requests", "Requests that failed in the model's own code")
# What timed out and did not return hangs, or its process was ended.
MODEL_LATE_CALLS = _model(
    "late_calls_total",
    "counter",
    "calls",
    "Calls of the model that took longer than call_timeout_s",
    outcome=("timed_out", "returned"),
)
MODEL_OUT_OF_MEMORY = _model(
    "out_of_memory_total",
    "counter",
    "calls",
    "Calls of the model that found no memory: made again with half of the rows, or refused",
    outcome=("halved", "refused"),
)
MODEL_PROCESS_RESTARTS = _model(
    "process_restarts_total",
    "counter",
    "processes",
    "Replaced processes of a model with isolation: process",
    reason=("timed_out", "ended"),
)
MODEL_TRACED = _model(
    "traced_requests_total",
    "counter",
    "requests",
    "Requests whose spans were sent to the collector of traces, or dropped",
    outcome=("sent", "dropped"),
)
MODEL_RECORDED = _model(
    "recorded_requests_total",
    "counter",
    "requests",
    "Requests that were chosen for the recording: written, or why they were not",
    outcome=("written", "queue_full", "too_large", "not_json", "disk"),
)

# What this process is.
MODEL_INFO = _model(
    "info", "gauge", "1", "1; the labels describe the served model", "artifact", "folder", "format", "fairlead"
)
MODEL_PHASE = _model(
    "phase",
    "gauge",
    "0 or 1",
    "1 for the phase the process is in, 0 for the others",
    phase=("loading", "warming", "ready", "hanging", "failed", "draining"),
)
MODEL_LOAD_SECONDS = _model("load_seconds", "gauge", "seconds", "Time from the start of loading to ready")
MODEL_BATCHING = _model(
    "batching_enabled",
    "gauge",
    "0 or 1",
    "1 if rows of several requests may share a call; reason says why or why not",
    "reason",
)
# The response cache. shared: answered with the call of an equal request; bypassed: not looked up.
MODEL_CACHE = _model(
    "cache_enabled",
    "gauge",
    "0 or 1",
    "1 if answers are kept in the response cache; reason says why or why not",
    "reason",
)
MODEL_CACHE_REQUESTS = _model(
    "cache_requests_total",
    "counter",
    "requests",
    "Requests of a model with a response cache by what it did for them",
    outcome=("hit", "shared", "miss", "bypassed"),
)
MODEL_CACHE_BYTES = _model(
    "cache_bytes", "gauge", "bytes", "Size of the answers in the response cache and of their keys"
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
    MODEL_OUT_OF_MEMORY,
    MODEL_PROCESS_RESTARTS,
    MODEL_TRACED,
    MODEL_RECORDED,
    MODEL_INFO,
    MODEL_PHASE,
    MODEL_LOAD_SECONDS,
    MODEL_BATCHING,
    MODEL_CACHE,
    MODEL_CACHE_REQUESTS,
    MODEL_CACHE_BYTES,
)
"""All metric families of `/metrics` of a model service, in the order declared above."""


_process = Declared("Python process")

PROCESS_CPU = _process("process_cpu_seconds_total", "counter", "seconds", "CPU time, of user and system")
PROCESS_MEMORY = _process("process_resident_memory_bytes", "gauge", "bytes", "Resident memory")
PROCESS: tuple[Metric, ...] = (
    PROCESS_CPU,
    PROCESS_MEMORY,
    _process("process_virtual_memory_bytes", "gauge", "bytes", "Virtual memory"),
    _process("process_start_time_seconds", "gauge", "seconds", "When it started, as Unix time"),
    _process("process_open_fds", "gauge", "files", "Open files and sockets"),
    _process("process_max_fds", "gauge", "files", "The limit of them"),
    _process(
        "python_info",
        "gauge",
        "1",
        "1; the labels describe Python",
        "implementation",
        "major",
        "minor",
        "patchlevel",
        "version",
    ),
    _process(
        "python_gc_objects_collected_total",
        "counter",
        "objects",
        "Objects collected by the garbage collector",
        "generation",
    ),
    _process(
        "python_gc_objects_uncollectable_total",
        "counter",
        "objects",
        "Objects that could not be collected",
        "generation",
    ),
    _process("python_gc_collections_total", "counter", "runs", "Runs of the garbage collector", "generation"),
)
"""What model services and the control plane have from prometheus_client; the `process_` ones only on Linux."""
