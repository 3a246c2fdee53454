"""The metrics of one model service, kept in a registry of its own and written where the work happens."""

from __future__ import annotations

import prometheus_client
from prometheus_client import gc_collector, platform_collector, process_collector

from fairlead.contracts import telemetry

PHASES = ("loading", "warming", "ready", "failed", "draining")
CONTENT_TYPE = prometheus_client.CONTENT_TYPE_PLAIN_0_0_4


class Metrics:
    """The counters of one process. Methods are named after what happened; children are looked up once.

    Called from the event loop only, except `batch_computed`, which any thread may call.
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
        self._answered: dict[tuple[str, int], tuple[prometheus_client.Counter, prometheus_client.Histogram]] = {}
        self._rows_answered = self._rows.labels(*self._identity, "answered")
        for reason in ("queue_full", "deadline", "disconnected"):
            self._rejected.labels(*self._identity, reason)  # a series from the start: rate() needs the first zero

    def serving(self, *, artifact: str, format: str, fairlead: str) -> None:
        """What is served; `artifact` is its digest, or empty where there is none."""
        self._info.labels(*self._identity, artifact, format, fairlead).set(1)

    def request_answered(self, protocol: str, status: int, seconds: float) -> None:
        """A request got its last byte, or (499) its client was gone."""
        children = self._answered.get((protocol, status))
        if children is None:
            children = (
                self._requests.labels(*self._identity, protocol, str(status)),
                self._request_seconds.labels(*self._identity, protocol),
            )
            self._answered[protocol, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def request_dropped(self, reason: str, rows: int) -> None:
        """Work was refused or given up before the model saw it."""
        self._rejected.labels(*self._identity, reason).inc()
        self._rows.labels(*self._identity, "dropped").inc(rows)

    def request_failed(self, rows: int) -> None:
        """The model's own code failed a request."""
        self._failures.inc()
        self._rows.labels(*self._identity, "failed").inc(rows)

    def rows_answered(self, rows: int) -> None:
        """So many rows got their answers."""
        self._rows_answered.inc(rows)

    def waited(self, seconds: float) -> None:
        """A request's first rows left the queue."""
        self._queue_seconds.observe(seconds)

    def batch_computed(self, rows: int, seconds: float) -> None:
        """The model's code ran once."""
        self._batch_rows.observe(rows)
        self._compute_seconds.observe(seconds)

    def phase_entered(self, phase: str) -> None:
        """The process is now loading, warming, ready, failed or draining."""
        for name in PHASES:
            self._phase.labels(*self._identity, name).set(name == phase)

    def loaded(self, seconds: float) -> None:
        """Loading and warming up took so long."""
        self._load_seconds.set(seconds)

    def batching_decided(self, enabled: bool, reason: str) -> None:
        """Whether requests share calls, and in one word why."""
        self._batching.labels(*self._identity, reason).set(enabled)

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return prometheus_client.generate_latest(self._registry)

    def _counter(self, metric: telemetry.Metric) -> prometheus_client.Counter:
        return prometheus_client.Counter(metric.name, metric.help, metric.labels, registry=self._registry)

    def _gauge(self, metric: telemetry.Metric) -> prometheus_client.Gauge:
        return prometheus_client.Gauge(metric.name, metric.help, metric.labels, registry=self._registry)

    def _histogram(self, metric: telemetry.Metric) -> prometheus_client.Histogram:
        return prometheus_client.Histogram(
            metric.name, metric.help, metric.labels, registry=self._registry, buckets=metric.buckets
        )
