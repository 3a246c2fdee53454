"""The control plane's own metrics. Routes and gateways are read at each scrape, so no series outlives them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Protocol

import prometheus_client
from prometheus_client import gc_collector, platform_collector, process_collector
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from fairlead.contracts import control_telemetry
from fairlead.contracts.health import Mark, health_of
from fairlead.contracts.quota_use import Spent
from fairlead.contracts.revision import Check, Revision
from fairlead.contracts.route import TOTAL_WEIGHT, Route, UnreadableRoute
from fairlead.contracts.status import Status
from fairlead.contracts.telemetry import Metric
from fairlead.errors import FairleadError
from fairlead.rollout.ports import GatewayState
from fairlead.store.statuses import read_status

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_PLAIN_0_0_4


class MetricStore(Protocol):
    """The part of the store that metrics are read from."""

    def routes(self) -> list[Route]: ...  # noqa: D102
    def unreadable_routes(self) -> list[UnreadableRoute]: ...  # noqa: D102
    def head(self, route: str) -> Revision | None: ...  # noqa: D102
    def status(self, route: str) -> dict[str, object] | None: ...  # noqa: D102


class LoopState(Protocol):
    """The part of the loop that metrics are read from."""

    leading: bool

    @property
    def refused(self) -> str: ...  # noqa: D102


Model = tuple[str, str]
"""A namespace, and a model in it."""


class Metrics:
    """One registry per process. Any thread may call `ticked` and `answered`."""

    def __init__(self) -> None:
        self._registry = prometheus_client.CollectorRegistry()
        for collector in (
            process_collector.ProcessCollector,
            platform_collector.PlatformCollector,
            gc_collector.GCCollector,
        ):
            collector(registry=self._registry)
        reconcile, answers = control_telemetry.CONTROL_RECONCILE_SECONDS, control_telemetry.CONTROL_XDS_ANSWERS
        self._reconcile = prometheus_client.Histogram(
            reconcile.name, reconcile.help, buckets=reconcile.buckets, registry=self._registry
        )
        self._answers = prometheus_client.Counter(answers.name, answers.help, answers.labels, registry=self._registry)
        for kind, answer in product(answers.values["kind"], answers.values["answer"]):
            self._answers.labels(kind, answer)  # a series from the start: rate() needs the first zero

    def ticked(self, seconds: float) -> None:
        """Record one tick of the engine over all routes."""
        self._reconcile.observe(seconds)

    def answered(self, kind: str, answer: str) -> None:
        """Count one answered request of a gateway."""
        self._answers.labels(kind, answer).inc()

    def add_state(
        self,
        store: MetricStore,
        loop: LoopState,
        *,
        gateways: Callable[[], Sequence[GatewayState]],
        sequence: Callable[[], int],
        spent: Callable[[], Iterable[Spent]] = tuple,
    ) -> None:
        """Add the metrics of routes, gateways and clients: `spent` is what those have used of their quotas."""
        self._registry.register(_StateCollector(store, loop, gateways, sequence, spent))

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return prometheus_client.generate_latest(self._registry)


class _StateCollector(Collector):
    def __init__(
        self,
        store: MetricStore,
        loop: LoopState,
        gateways: Callable[[], Sequence[GatewayState]],
        sequence: Callable[[], int],
        spent: Callable[[], Iterable[Spent]],
    ) -> None:
        self._store, self._loop, self._gateways, self._sequence = store, loop, gateways, sequence
        self._spent = spent

    def describe(self) -> Iterable[Family]:
        """Empty, so that registering does not read the store."""
        return ()

    def collect(self) -> Iterator[Family]:
        """Routes and gateways, on the leader. When the store cannot be read, only the series of routes are missing."""
        yield _gauge(control_telemetry.CONTROL_LEADER, [((), self._loop.leading)])
        if not self._loop.leading:
            return
        yield _gauge(control_telemetry.CONTROL_SEQUENCE, [((), self._sequence())])
        yield _gauge(control_telemetry.CONTROL_REFUSED, [((), bool(self._loop.refused))])
        yield from self._of_gateways()
        spent = [((one.client, one.period), one) for one in self._spent()]
        yield _gauge(control_telemetry.CONTROL_CLIENT_USED, [(labels, one.used) for labels, one in spent])
        yield _gauge(control_telemetry.CONTROL_CLIENT_QUOTA, [(labels, one.allowed) for labels, one in spent])
        try:
            yield from self._of_routes()
        except FairleadError:
            return

    def _of_gateways(self) -> Iterator[Family]:
        states = self._gateways()
        yield _gauge(control_telemetry.CONTROL_GATEWAY_UP, [((one.name,), one.reachable) for one in states])
        yield _gauge(control_telemetry.CONTROL_GATEWAY_REFUSES, [((one.name,), bool(one.rejected)) for one in states])

    def _of_routes(self) -> Iterator[Family]:
        routes = self._store.routes()
        unreadable = self._store.unreadable_routes()
        names = [route.name for route in routes] + [one.name for one in unreadable]
        heads = {name: head for name in names if (head := self._store.head(name)) is not None}
        statuses = {name: read_status(self._store, name) for name in names}
        documents = {name: status for name, status in statuses.items() if status is not None}
        yield _gauge(control_telemetry.CONTROL_REVISION, [(_of(head), head.seq) for head in heads.values()])
        yield _gauge(control_telemetry.CONTROL_WEIGHT, [line for head in heads.values() for line in _weights(head)])
        models: dict[str, Model] = {one.name: (one.namespace, one.name) for one in unreadable}
        models |= {name: _of(head) for name, head in heads.items()}
        models |= {route.name: (route.namespace, route.spec.model) for route in routes}
        acknowledged = [
            ((*models[route], one.name), seq)
            for one in self._gateways()
            for route, seq in one.programmed.items()
            if route in models
        ]
        yield _gauge(control_telemetry.CONTROL_GATEWAY_REVISION, acknowledged)
        shares = [line for name, status in documents.items() for line in _shares(models[name], status)]
        yield _gauge(control_telemetry.CONTROL_SHARE, shares)
        conditions = [
            ((*models[name], one.type, one.reason), one.status)
            for name, status in documents.items()
            for one in status.conditions
        ]
        yield _gauge(control_telemetry.CONTROL_CONDITION, conditions)
        marks = {models[name]: health_of(status).mark for name, status in documents.items()}
        yield _gauge(control_telemetry.CONTROL_DOWN, [(model, mark is Mark.DOWN) for model, mark in marks.items()])
        yield _gauge(
            control_telemetry.CONTROL_DEGRADED, [(model, mark is Mark.DEGRADED) for model, mark in marks.items()]
        )
        ready = [
            ((*models[name], role), count) for name, status in documents.items() for role, count in status.ready.items()
        ]
        yield _gauge(control_telemetry.CONTROL_READY, ready)
        wanted = [
            ((*models[name], one.ref.version, one.ref.identity), one.instances)
            for name, status in documents.items()
            for one in status.wanted
        ]
        yield _gauge(control_telemetry.CONTROL_WANTED, wanted)
        yield from _rollouts({models[name]: status for name, status in documents.items() if status.candidate})


def _of(head: Revision) -> Model:
    return head.namespace, head.table.model


def _weights(head: Revision) -> Iterator[tuple[tuple[str, ...], int]]:
    table = head.table
    yield (*_of(head), table.stable.version, "stable"), TOTAL_WEIGHT - table.weight
    if table.candidate is not None:
        yield (*_of(head), table.candidate.version, "candidate"), table.weight


def _shares(model: Model, status: Status) -> Iterator[tuple[tuple[str, ...], int]]:
    if status.share is not None and status.stable is not None and status.candidate is not None:
        yield (*model, status.stable.version, "stable"), TOTAL_WEIGHT - status.share
        yield (*model, status.candidate.version, "candidate"), status.share


def _rollouts(statuses: Mapping[Model, Status]) -> Iterator[Family]:
    """The rollouts in progress: step, verdicts, and the evidence behind them."""
    steps = [(model, one.step.number) for model, one in statuses.items() if one.step is not None]
    yield _gauge(control_telemetry.CONTROL_STEP, steps)
    checks = [(model, check) for model, one in statuses.items() for check in one.checks]
    verdicts = [
        ((*model, check.gate, verdict), check.verdict == verdict)
        for model, check in checks
        for verdict in control_telemetry.VERDICTS
    ]
    yield _gauge(control_telemetry.CONTROL_VERDICT, verdicts)
    evidence = [((*model, check.gate, *side), share) for model, check in checks for side, share in _evidence(check)]
    yield _gauge(control_telemetry.CONTROL_EVIDENCE, evidence)
    counts = [
        ((*model, role), getattr(one.evidence, role))
        for model, one in statuses.items()
        for role in control_telemetry.ROLES
    ]
    yield _gauge(control_telemetry.CONTROL_COUNTED, [(labels, count.n) for labels, count in counts])
    yield _gauge(control_telemetry.CONTROL_COUNTED_BAD, [(labels, count.bad) for labels, count in counts])
    pairs = [((*model, *outcome), n) for model, one in statuses.items() for outcome, n in _pairs(one)]
    yield _gauge(control_telemetry.CONTROL_SHADOW_PAIRS, pairs)


def _evidence(check: Check) -> Iterator[tuple[tuple[str], float]]:
    """What a gate has of the evidence that decides, by side. Gates without evidence have none."""
    for side in control_telemetry.CONTROL_EVIDENCE.values["side"]:
        log, decides = check.numbers.get(f"log_{side}"), check.numbers.get(f"{side}_at")
        if log is not None and decides:
            yield (side,), log / decides


def _pairs(status: Status) -> Iterator[tuple[tuple[str], int]]:
    """How the candidate's answers to mirrored requests compare with stable's, by outcome. None before there are any."""
    for one in status.shadow.compared if status.shadow is not None else ():
        if (one.live, one.shadow) == (status.stable, status.candidate):
            pairs = one.pairs
            yield ("same",), pairs.n - pairs.differ
            yield ("class",), pairs.class_changed
            yield ("failed",), pairs.failed
            yield ("schema",), pairs.schema_mismatch
            yield ("score",), pairs.score_moved


def _gauge(metric: Metric, lines: Iterable[tuple[tuple[str, ...], float]]) -> Family:
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in lines:
        family.add_metric(labels, float(value))
    return family
