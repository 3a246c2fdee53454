"""Prometheus metrics of one model service: counted in shared memory, and added up when they are read."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import prometheus_client
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from fairlead.contracts import telemetry
from fairlead.serving.observe.board import PHASES, Board
from fairlead.serving.observe.counts import Counts
from fairlead.serving.observe.process_metrics import CPU_SECONDS, ProcessMetrics
from fairlead.serving.observe.series import (
    CAPACITY,
    NAME_BYTES,
    Answered,
    Histogram,
    Level,
    histograms_of,
    name_of,
    of,
)

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_PLAIN_0_0_4
PREDICTIONS = frozenset({"predict", "v1", "v2", "grpc"})
"""The values of the label `protocol` that are predictions."""
FLUSH_AT = 64
"""Number of answered requests after which a service of one process adds them to the metrics together. A worker adds
each at once: it may be killed."""


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
    """The metrics of one service. Methods are named after events; their places in the memory are looked up once.

    Call the methods on the event loop only, except `batch_computed`, which any thread may call. Counters and histograms
    add up over all workers, and what a worker has counted stays when it ends.
    """

    def __init__(self, model: str, version: str, board: Board | None = None) -> None:
        self._identity = (model, version)
        self._board = board = board or Board()
        self._outlives = board.memory.outlives
        self._counts = Counts(board.memory, CAPACITY, NAME_BYTES)
        self._process = ProcessMetrics(self._counts, shares=self._outlives)
        self._info: tuple[str, ...] = ()
        self._batching: tuple[str, bool] | None = None
        self._cache: tuple[str, bool] | None = None
        self._load_seconds = 0.0
        for metric in telemetry.MODEL_SERVICE:
            if metric.kind == "counter":
                for value in next(iter(metric.values.values()), ()):
                    self._place(metric, value)  # creates the series at 0: rate() needs a first sample
        self._rows_answered = self._place(telemetry.MODEL_ROWS, "answered")
        self._failures = self._place(telemetry.MODEL_FAILURES)
        self._queue_seconds = self._histogram(telemetry.MODEL_QUEUE_SECONDS)
        self._compute_seconds = self._histogram(telemetry.MODEL_COMPUTE_SECONDS)
        self._batch_rows = self._histogram(telemetry.MODEL_BATCH_ROWS)
        self.in_flight, self.queue_rows, self.queue_bytes, self.cache_bytes = Level(), Level(), Level(), Level()
        self._request_seconds: dict[str, Histogram] = {}
        self._answered: dict[tuple[str, int], Answered] = {}
        self._computed = threading.Lock()

    def serving(self, *, artifact: str, folder: str, format: str, fairlead: str) -> None:
        """Set the info metric. `artifact` and `folder` are digests; empty if there is none, or it is not known."""
        self._info = (artifact, folder, format, fairlead)

    def request_answered(self, protocol: str, status: int, seconds: float) -> None:
        """The last byte of a response was sent, or (499) the client disconnected before."""
        answered = self._answered.get((protocol, status))
        if answered is None:
            histogram = self._request_seconds.get(protocol)
            if histogram is None:
                histogram = self._histogram(telemetry.MODEL_REQUEST_SECONDS, protocol)
                self._request_seconds[protocol] = histogram
            answered = self._answered[protocol, status] = Answered(
                self._counts,
                name_of(telemetry.MODEL_REQUESTS, protocol, str(status)),
                histogram,
                1 if self._outlives else FLUSH_AT,
            )
        answered.add(seconds)

    def request_dropped(self, reason: str, rows: int) -> None:
        """A request was rejected or cancelled before the model saw these rows."""
        self._count(telemetry.MODEL_REJECTED, reason)
        self._count(telemetry.MODEL_ROWS, "dropped", more=rows)

    def request_failed(self, rows: int) -> None:
        """A request failed in the model's code."""
        self._counts.numbers[self._failures] += 1
        self._count(telemetry.MODEL_ROWS, "failed", more=rows)

    def rows_answered(self, rows: int) -> None:
        """Rows got their answers."""
        self._counts.numbers[self._rows_answered] += rows

    def waited(self, seconds: Sequence[float]) -> None:
        """The first rows of requests left the queue; `seconds` has the wait of each request."""
        self._queue_seconds.observe_many(seconds)

    def batch_computed(self, rows: int, seconds: float) -> None:
        """The model's code was called once, for one batch."""
        with self._computed:
            self._batch_rows.observe(rows)
            self._compute_seconds.observe(seconds)

    def call_late(self, outcome: str) -> None:
        """A call of the model exceeded its time limit (`timed_out`), or returned after it (`returned`)."""
        self._count(telemetry.MODEL_LATE_CALLS, outcome)

    def out_of_memory(self, outcome: str) -> None:
        """A call ran out of memory: it is made again with half of its rows (`halved`), or had only one (`refused`)."""
        self._count(telemetry.MODEL_OUT_OF_MEMORY, outcome)

    def process_replaced(self, reason: str) -> None:
        """A process that ran the model is replaced: it ended (`ended`), or was ended at the limit (`timed_out`)."""
        self._count(telemetry.MODEL_PROCESS_RESTARTS, reason)

    def spans_sent(self, outcome: str, requests: int) -> None:
        """The spans of requests were sent to the collector (`sent`), or were not (`dropped`)."""
        self._count(telemetry.MODEL_TRACED, outcome, more=requests)

    def requests_recorded(self, outcomes: Mapping[str, int]) -> None:
        """So many requests were written to the recording (`written`), or were not, for the reason that is named."""
        for outcome, requests in outcomes.items():
            self._count(telemetry.MODEL_RECORDED, outcome, more=requests)

    def loaded(self, seconds: float) -> None:
        """Loading and warming up finished after `seconds`."""
        self._load_seconds = seconds

    def batching_decided(self, enabled: bool, reason: str) -> None:
        """Whether requests may share calls was decided; `reason` is one word."""
        self._batching = (reason, enabled)

    def cache_decided(self, enabled: bool, reason: str) -> None:
        """Whether there is a response cache was decided; `reason` is one word."""
        self._cache = (reason, enabled)

    def cache_asked(self, outcome: str) -> None:
        """The response cache was asked: `hit`, `shared`, `miss`, or `bypassed` if it was not looked up."""
        self._count(telemetry.MODEL_CACHE_REQUESTS, outcome)

    def publish(self) -> None:
        """Write to the shared memory what other workers cannot read here. Without it their view is older."""
        for answered in self._answered.values():
            answered.flush()
        own = [level.value() for level in (self.in_flight, self.queue_rows, self.queue_bytes, self.cache_bytes)]
        self._board.set_levels([*own, *self._process.levels])

    def publish_process(self) -> None:
        """The same for the metrics of the process; they take longer."""
        self._process.publish()

    def totals(self) -> Totals:
        """The sums over all prediction protocols and workers."""
        self.publish()
        counted = self._counts.totals()
        answers = {
            (protocol, code): value
            for (protocol, code), value in of(counted, telemetry.MODEL_REQUESTS)
            if protocol in PREDICTIONS
        }
        answered = sum(value for (_, code), value in answers.items() if code == "200")
        request = histograms_of(counted, telemetry.MODEL_REQUEST_SECONDS)
        queue = histograms_of(counted, telemetry.MODEL_QUEUE_SECONDS)[()]
        compute = histograms_of(counted, telemetry.MODEL_COMPUTE_SECONDS)[()]
        return Totals(
            answered=int(answered),
            not_answered=int(sum(answers.values()) - answered),
            request_s=sum(found.sum for (protocol,), found in request.items() if protocol in PREDICTIONS),
            queued=int(sum(queue.counts)),
            queue_s=queue.sum,
            batches=int(sum(compute.counts)),
            compute_s=compute.sum,
            rows=int(counted[name_of(telemetry.MODEL_ROWS, "answered")]),
        )

    def used(self) -> tuple[int, float]:
        """The rows in calls of the model and the CPU seconds of all workers, since the service started.

        Rows that the response cache answers are not among them: they take no call.
        """
        if not self._outlives:
            return int(self._batch_rows.sum), time.process_time()
        self.publish_process()
        counted = self._counts.totals()
        [rows] = histograms_of(counted, telemetry.MODEL_BATCH_ROWS).values()
        return int(rows.sum), counted[CPU_SECONDS]

    def text(self) -> bytes:
        """All metrics of all workers, in Prometheus' text format."""
        self.publish_process()
        self.publish()
        counted, levels = self._counts.totals(), self._board.levels()
        registry = prometheus_client.CollectorRegistry(auto_describe=False)
        registry.register(_Made([*self._process.families(counted, levels[4:]), *self._families(counted, levels)]))
        return prometheus_client.generate_latest(registry)

    def _families(self, counted: Mapping[str, float], levels: Sequence[float]) -> Iterator[Family]:
        gauges = self._gauges(levels)
        for metric in telemetry.MODEL_SERVICE:
            if metric.kind == "counter":
                counter = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
                for labels, value in of(counted, metric):
                    counter.add_metric([*self._identity, *labels], value)
                yield counter
            elif metric.kind == "histogram":
                yield self._histogram_family(counted, metric)
            else:
                gauge = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
                for labels, value in gauges[metric.name].items():
                    gauge.add_metric([*self._identity, *labels], value)
                yield gauge

    def _histogram_family(self, counted: Mapping[str, float], metric: telemetry.Metric) -> Family:
        family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        bounds = [*map(floatToGoString, metric.buckets), "+Inf"]
        for labels, found in histograms_of(counted, metric).items():
            buckets = list(zip(bounds, accumulate(found.counts), strict=True))
            family.add_metric([*self._identity, *labels], buckets, found.sum)
        return family

    def _gauges(self, levels: Sequence[float]) -> Mapping[str, Mapping[tuple[str, ...], float]]:
        """The gauges by name and labels: those of this worker, where all workers have the same."""
        in_flight, queue_rows, queue_bytes, cache_bytes = levels[:4]
        phase = self._board.phase()
        return {
            telemetry.MODEL_IN_FLIGHT.name: {(): in_flight},
            telemetry.MODEL_QUEUE_ROWS.name: {(): queue_rows},
            telemetry.MODEL_QUEUE_BYTES.name: {(): queue_bytes},
            telemetry.MODEL_INFO.name: {self._info: 1} if self._info else {},
            telemetry.MODEL_PHASE.name: {(one,): float(one == phase) for one in PHASES},
            telemetry.MODEL_LOAD_SECONDS.name: {(): self._load_seconds},
            telemetry.MODEL_BATCHING.name: {(self._batching[0],): self._batching[1]} if self._batching else {},
            telemetry.MODEL_CACHE.name: {(self._cache[0],): self._cache[1]} if self._cache else {},
            telemetry.MODEL_CACHE_BYTES.name: {(): cache_bytes},
        }

    def _place(self, metric: telemetry.Metric, *labels: str) -> int:
        return self._counts.place(name_of(metric, *labels))

    def _count(self, metric: telemetry.Metric, label: str, *, more: float = 1) -> None:
        self._counts.add(name_of(metric, label), more)

    def _histogram(self, metric: telemetry.Metric, *labels: str) -> Histogram:
        return Histogram(self._counts, metric.buckets, name_of(metric, *labels))


class _Made(Collector):
    """Families that have been made already."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._found = families

    def collect(self) -> Iterable[Family]:
        return self._found
