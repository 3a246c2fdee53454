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
    MODEL_INFO,
    MODEL_PHASE,
    MODEL_LOAD_SECONDS,
    MODEL_BATCHING,
    MODEL_CACHE,
    MODEL_CACHE_REQUESTS,
    MODEL_CACHE_BYTES,
)
"""All metric families of `/metrics` of a model service, in the order declared above."""

# Drift, at /metrics/drift: counts of rows on the bins of the reference profile. Every statistic is computed from sums
# over all instances, never here. All bins of a feature are there from the start: a missing one would vanish from sums.
# `slice` is empty for all rows, and the name of a slice of the profile for the rows in it.
MODEL_DRIFT_VALUES = _model(
    "drift_values_total",
    "counter",
    "rows",
    "Counted rows by feature and bin of the reference",
    "feature",
    "bin",
    "slice",
)
MODEL_DRIFT_ROWS = _model("drift_rows_total", "counter", "rows", "Rows that were counted in the bins")
MODEL_DRIFT_REQUESTS = _model(
    "drift_requests_total", "counter", "requests", "Requests whose rows were counted", "slice"
)
MODEL_DRIFT_SKIPPED = _model(
    "drift_skipped_rows_total", "counter", "rows", "Answered rows that were not counted: the sample was full"
)
MODEL_DRIFT_FAILED = _model(
    "drift_failed_rows_total", "counter", "rows", "Answered rows that could not be counted: the service's log says why"
)
MODEL_DRIFT_REFERENCE_VALUES = _model(
    "drift_reference_values", "gauge", "rows", "Rows of the reference by feature and bin", "feature", "bin", "slice"
)
MODEL_DRIFT_REFERENCE_ROWS = _model(
    "drift_reference_rows", "gauge", "rows", "Rows of the reference", "feature", "slice"
)
MODEL_DRIFT_CRITICAL = _model(
    "drift_critical",
    "gauge",
    "chi-squared",
    "Chi-squared with one degree of freedom less than the feature has bins: 0.1 % of samples without drift exceed it",
    "feature",
)
MODEL_PROFILE_INFO = _model(
    "profile_info",
    "gauge",
    "1",
    "1; profile is the digest of the reference profile, edges the digest of its bins",
    "profile",
    "edges",
    kind=("given", "none"),
)

DRIFT_PATH = "/metrics/drift"
"""They are on a path of their own: a profile of many features has thousands of series, and a minute is soon enough."""
MODEL_DRIFT: tuple[Metric, ...] = (
    MODEL_PROFILE_INFO,
    MODEL_DRIFT_ROWS,
    MODEL_DRIFT_REQUESTS,
    MODEL_DRIFT_SKIPPED,
    MODEL_DRIFT_FAILED,
    MODEL_DRIFT_VALUES,
    MODEL_DRIFT_REFERENCE_VALUES,
    MODEL_DRIFT_REFERENCE_ROWS,
    MODEL_DRIFT_CRITICAL,
)
"""All metric families of `/metrics/drift`. Without a profile there is only the first."""

# Drift of vectors, at the same path where the profile has some.
MODEL_DRIFT_DIRECTIONS = _model(
    "drift_directions_total",
    "counter",
    "waves",
    "Sum of the waves, each from 0 to 1, that counted vectors are in a random direction",
    "feature",
    "direction",
)
MODEL_DRIFT_VECTORS = _model("drift_vectors_total", "counter", "rows", "Rows whose vector was counted", "feature")
MODEL_DRIFT_REFERENCE_DIRECTIONS = _model(
    "drift_reference_directions",
    "gauge",
    "waves",
    "Mean wave of the reference in each direction",
    "feature",
    "direction",
)
MODEL_DRIFT_REFERENCE_VECTORS = _model(
    "drift_reference_vectors", "gauge", "rows", "Rows of the reference with a vector", "feature"
)
MODEL_DRIFT_VECTOR_CRITICAL = _model(
    "drift_vector_critical",
    "gauge",
    "rows",
    "0.1 % of samples of n and m vectors without drift have a squared MMD above this times 1/n + 1/m",
    "feature",
)
MODEL_VECTORS: tuple[Metric, ...] = (
    MODEL_DRIFT_DIRECTIONS,
    MODEL_DRIFT_VECTORS,
    MODEL_DRIFT_REFERENCE_DIRECTIONS,
    MODEL_DRIFT_REFERENCE_VECTORS,
    MODEL_DRIFT_VECTOR_CRITICAL,
)
"""All metric families of a profile's vectors."""

# Quality without labels, at the same path where the profile has that of held-out rows. The series are as those of
# feedback.
MODEL_REFERENCE_OUTCOMES = _model(
    "reference_outcomes",
    "gauge",
    "rows",
    "Held-out rows by the class that was predicted and the true one",
    "predicted",
    "truth",
    correct=("true", "false"),
)
MODEL_REFERENCE_NUMBERS = _model("reference_numbers", "gauge", "rows", "Held-out rows whose answers are numbers")
MODEL_REFERENCE_ABSOLUTE_ERRORS = _model(
    "reference_absolute_errors",
    "gauge",
    "as the answers",
    "Sum of the absolute differences between numbers that were predicted and true ones, of held-out rows",
)
MODEL_REFERENCE_SQUARED_ERRORS = _model(
    "reference_squared_errors", "gauge", "squares of the answers", "Sum of the squares of these differences"
)
MODEL_ESTIMATED_OUTCOMES = _model(
    "estimated_outcomes_total",
    "counter",
    "rows",
    "Estimated without labels: expected rows by the class that was predicted and the true one, if the model is as sure "
    "of its answers as it was on held-out rows",
    "predicted",
    "truth",
    correct=("true", "false"),
)
MODEL_QUALITY: tuple[Metric, ...] = (
    MODEL_REFERENCE_OUTCOMES,
    MODEL_REFERENCE_NUMBERS,
    MODEL_REFERENCE_ABSOLUTE_ERRORS,
    MODEL_REFERENCE_SQUARED_ERRORS,
    MODEL_ESTIMATED_OUTCOMES,
)
"""All metric families of a profile's quality: outcomes for classes, the other three for numbers. Outcomes are estimated
where answers say how sure they are."""

# Quality, at the same path where feedback is on: predictions that clients have sent the truth of. All series are there
# from the start. `other` are the classes without a place of their own.
MODEL_FEEDBACK_LABELS = _model(
    "feedback_labels_total",
    "counter",
    "labels",
    "Labels that clients sent, by what became of them",
    outcome=("counted", "late", "double", "unknown", "bad"),
)
MODEL_FEEDBACK_LAG = _model(
    "feedback_lag_seconds",
    "histogram",
    "seconds",
    "From an answer to its label, of counted labels that say when the answer was given",
    buckets=(60.0, 600.0, 3600.0, 21600.0, 86400.0, 604800.0, 2592000.0),
)
MODEL_FEEDBACK_OUTCOMES = _model(
    "feedback_outcomes_total",
    "counter",
    "labels",
    "Counted labels by the class that was predicted and the true one",
    "predicted",
    "truth",
    correct=("true", "false"),
)
MODEL_FEEDBACK_NUMBERS = _model("feedback_numbers_total", "counter", "labels", "Counted labels that are numbers")
MODEL_FEEDBACK_ABSOLUTE_ERRORS = _model(
    "feedback_absolute_errors_total",
    "counter",
    "as the answers",
    "Sum of the absolute differences between numbers that were predicted and true ones",
)
MODEL_FEEDBACK_SQUARED_ERRORS = _model(
    "feedback_squared_errors_total",
    "counter",
    "squares of the answers",
    "Sum of the squares of these differences",
)
MODEL_FEEDBACK: tuple[Metric, ...] = (
    MODEL_FEEDBACK_LABELS,
    MODEL_FEEDBACK_LAG,
    MODEL_FEEDBACK_OUTCOMES,
    MODEL_FEEDBACK_NUMBERS,
    MODEL_FEEDBACK_ABSOLUTE_ERRORS,
    MODEL_FEEDBACK_SQUARED_ERRORS,
)
"""All metric families of feedback. A model whose answers are classes has no numbers, and the other way round."""


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
