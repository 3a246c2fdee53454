"""Prometheus metrics of one model service, in its own registry."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import prometheus_client
from prometheus_client import gc_collector, platform_collector, process_collector
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.samples import Sample

from fairlead.contracts import telemetry

PHASES = telemetry.MODEL_PHASE.values["phase"]
CONTENT_TYPE = prometheus_client.CONTENT_TYPE_PLAIN_0_0_4
PREDICTIONS = frozenset({"predict", "v1", "v2"})
"""The values of the label `protocol` that are predictions."""
FLUSH_AT = 64
"""Number of answered requests after which they are added to the metrics together. Each lock and bucket is then updated
once per flush and not once per request."""


class Histogram(prometheus_client.Histogram):
    """A histogram that can observe many values at once."""

    def observe_many(self, values: Sequence[float]) -> None:
        """Same as calling `observe` for each value, but each bucket is updated once."""
        counts = [0] * len(self._buckets)
        for value in values:
            counts[bisect_left(self._upper_bounds, value)] += 1
        for bucket, count in zip(self._buckets, counts, strict=True):
            if count:
                bucket.inc(count)
        self._sum.inc(sum(values))


class _PendingCounts:
    """Answered requests of one protocol and status that have not been added to the metrics yet."""

    __slots__ = ("_counter", "_histogram", "_seconds")

    def __init__(self, counter: prometheus_client.Counter, histogram: Histogram) -> None:
        self._counter = counter
        self._histogram = histogram
        self._seconds: list[float] = []

    def add(self, seconds: float) -> None:
        self._seconds.append(seconds)
        if len(self._seconds) >= FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        if self._seconds:
            self._counter.inc(len(self._seconds))
            self._histogram.observe_many(self._seconds)
            self._seconds.clear()


@dataclass(frozen=True, slots=True)
class Totals:
    """What one process has done since its start, from its metrics. Durations in seconds."""

    answered: int
    """Predictions with status 200."""
    not_answered: int
    request_s: float
    queued: int
    queue_s: float
    batches: int
    compute_s: float
    rows: int


class Metrics:
    """The metrics of one process. Methods are named after events; labelled children are looked up once.

    Call the methods on the event loop only, except `batch_computed`, which any thread may call.
    """

    def __init__(self, model: str, version: str) -> None:
        self._identity = (model, version)
        self._registry = prometheus_client.CollectorRegistry()
        for collector in (
            process_collector.ProcessCollector,
            platform_collector.PlatformCollector,
            gc_collector.GCCollector,
        ):
            collector(registry=self._registry)
        self._requests = self._counter(telemetry.MODEL_REQUESTS)
        self._request_seconds = self._histogram(telemetry.MODEL_REQUEST_SECONDS)
        self._rows = self._counter(telemetry.MODEL_ROWS)
        self._rejected = self._counter(telemetry.MODEL_REJECTED)
        self._phase = self._gauge(telemetry.MODEL_PHASE)
        self._info = self._gauge(telemetry.MODEL_INFO)
        self._batching = self._gauge(telemetry.MODEL_BATCHING)
        self._load_seconds = self._gauge(telemetry.MODEL_LOAD_SECONDS).labels(*self._identity)
        self._failures = self._counter(telemetry.MODEL_FAILURES).labels(*self._identity)
        self._queue_seconds = self._histogram(telemetry.MODEL_QUEUE_SECONDS).labels(*self._identity)
        self._compute_seconds = self._histogram(telemetry.MODEL_COMPUTE_SECONDS).labels(*self._identity)
        self._batch_rows = self._histogram(telemetry.MODEL_BATCH_ROWS).labels(*self._identity)
        self.in_flight = self._gauge(telemetry.MODEL_IN_FLIGHT).labels(*self._identity)
        self.queue_rows = self._gauge(telemetry.MODEL_QUEUE_ROWS).labels(*self._identity)
        self.queue_bytes = self._gauge(telemetry.MODEL_QUEUE_BYTES).labels(*self._identity)
        self._answered: dict[tuple[str, int], _PendingCounts] = {}
        self._rows_answered = self._rows.labels(*self._identity, "answered")
        self._late_calls = self._counter(telemetry.MODEL_LATE_CALLS)
        self._process_restarts = self._counter(telemetry.MODEL_PROCESS_RESTARTS)

    def serving(self, *, artifact: str, folder: str, format: str, fairlead: str) -> None:
        """Set the info metric. `artifact` and `folder` are digests; empty if there is none, or it is not known."""
        self._info.labels(*self._identity, artifact, folder, format, fairlead).set(1)

    def request_answered(self, protocol: str, status: int, seconds: float) -> None:
        """The last byte of a response was sent, or (499) the client disconnected before."""
        answered = self._answered.get((protocol, status))
        if answered is None:
            answered = self._answered[protocol, status] = _PendingCounts(
                self._requests.labels(*self._identity, protocol, str(status)),
                self._request_seconds.labels(*self._identity, protocol),
            )
        answered.add(seconds)

    def request_dropped(self, reason: str, rows: int) -> None:
        """A request was rejected or cancelled before the model saw these rows."""
        self._rejected.labels(*self._identity, reason).inc()
        self._rows.labels(*self._identity, "dropped").inc(rows)

    def request_failed(self, rows: int) -> None:
        """A request failed in the model's code."""
        self._failures.inc()
        self._rows.labels(*self._identity, "failed").inc(rows)

    def rows_answered(self, rows: int) -> None:
        """Rows got their answers."""
        self._rows_answered.inc(rows)

    def waited(self, seconds: Sequence[float]) -> None:
        """The first rows of requests left the queue; `seconds` has the wait of each request."""
        self._queue_seconds.observe_many(seconds)

    def batch_computed(self, rows: int, seconds: float) -> None:
        """The model's code was called once, for one batch."""
        self._batch_rows.observe(rows)
        self._compute_seconds.observe(seconds)

    def call_late(self, outcome: str) -> None:
        """A call of the model exceeded its time limit (`timed_out`), or returned after it (`returned`)."""
        self._late_calls.labels(*self._identity, outcome).inc()

    def process_replaced(self, reason: str) -> None:
        """A process that ran the model is replaced: it ended (`ended`), or was ended at the limit (`timed_out`)."""
        self._process_restarts.labels(*self._identity, reason).inc()

    def phase_entered(self, phase: str) -> None:
        """The service entered a phase: one of PHASES."""
        for name in PHASES:
            self._phase.labels(*self._identity, name).set(name == phase)

    def loaded(self, seconds: float) -> None:
        """Loading and warming up finished after `seconds`."""
        self._load_seconds.set(seconds)

    def batching_decided(self, enabled: bool, reason: str) -> None:
        """Whether requests may share calls was decided; `reason` is one word."""
        self._batching.labels(*self._identity, reason).set(enabled)

    def totals(self) -> Totals:
        """The sums over all prediction protocols."""
        self._flush()
        answered = not_answered = 0.0
        for sample in _samples(self._requests, "_total"):
            if sample.labels["protocol"] in PREDICTIONS:
                answered += sample.value * (sample.labels["code"] == "200")
                not_answered += sample.value * (sample.labels["code"] != "200")
        seconds = [s.value for s in _samples(self._request_seconds, "_sum") if s.labels["protocol"] in PREDICTIONS]
        return Totals(
            answered=int(answered),
            not_answered=int(not_answered),
            request_s=sum(seconds),
            queued=int(_value(self._queue_seconds, "_count")),
            queue_s=_value(self._queue_seconds, "_sum"),
            batches=int(_value(self._compute_seconds, "_count")),
            compute_s=_value(self._compute_seconds, "_sum"),
            rows=int(_value(self._rows_answered, "_total")),
        )

    def text(self) -> bytes:
        """All metrics, in Prometheus' text format."""
        self._flush()
        return prometheus_client.generate_latest(self._registry)

    def _flush(self) -> None:
        for answered in self._answered.values():
            answered.flush()

    def _counter(self, metric: telemetry.Metric) -> prometheus_client.Counter:
        counter = prometheus_client.Counter(metric.name, metric.help, metric.labels, registry=self._registry)
        for value in next(iter(metric.values.values()), ()):
            counter.labels(*self._identity, value)  # creates the series at 0: rate() needs a first sample
        return counter

    def _gauge(self, metric: telemetry.Metric) -> prometheus_client.Gauge:
        return prometheus_client.Gauge(metric.name, metric.help, metric.labels, registry=self._registry)

    def _histogram(self, metric: telemetry.Metric) -> Histogram:
        return Histogram(metric.name, metric.help, metric.labels, registry=self._registry, buckets=metric.buckets)


def _samples(metric: MetricWrapperBase, suffix: str) -> list[Sample]:
    """The samples of a metric whose name ends with `suffix`."""
    return [sample for family in metric.collect() for sample in family.samples if sample.name.endswith(suffix)]


def _value(metric: MetricWrapperBase, suffix: str) -> float:
    return sum(sample.value for sample in _samples(metric, suffix))
