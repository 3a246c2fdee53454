"""The recording rules, by model and version: requests, errors and latency as the gateways count them, load, weights.
Those of drift are in `drift_recording.py`, those of quality in `quality_recording.py`, and those of processors, GPUs
and cost in `capacity_recording.py`.

Names follow `level:metric:operation`. The gateways see what clients see: also answers that never reached a service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from fairlead.contracts import control_telemetry, telemetry
from fairlead.contracts import gateway_telemetry as gateway
from fairlead.contracts.gateway import Role
from fairlead.contracts.route import TOTAL_WEIGHT
from fairlead.contracts.telemetry import Metric
from monitoring.capacity_recording import CapacityRecords
from monitoring.drift_recording import DriftRecords, Reference
from monitoring.promql import (
    CLASS,
    IDENTITY,
    average,
    increase,
    largest,
    named_class,
    of_cluster,
    of_version,
    rate,
    series,
    total,
)
from monitoring.quality_recording import QualityRecords
from monitoring.settings import Settings

MODEL = IDENTITY[:2]


@dataclass(frozen=True, slots=True)
class Record:
    """One recording rule. `labels` are all labels of its series."""

    name: str
    expression: str
    labels: tuple[str, ...]
    group: str
    every: str = ""
    """How often the rules of its group run; empty: as often as Prometheus evaluates others."""


class Records:
    """The rules for these settings. Names contain the window, so they differ where the settings do."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.every: list[Record] = []
        window = settings.window
        self.classes = self._add(
            f"model_version_class:fairlead_requests:rate{window}",
            total(named_class(of_version(gateway.GATEWAY_CLASSES, "", window, CLASS)), *IDENTITY, "class"),
            *IDENTITY,
            "class",
        )
        self.requests = self._add(
            f"model_version:fairlead_requests:rate{window}", total(self.classes, *IDENTITY), *IDENTITY
        )
        self.errors = self._add(
            f"model_version:fairlead_errors:ratio_rate{window}",
            _ratio(total(f'{self.classes}{{class="5xx"}}', *IDENTITY), self.requests),
            *IDENTITY,
        )
        bad, self.good_tries = (
            self._add(
                f"model_version:fairlead_{name}_tries:rate{window}",
                of_cluster(metric, window, role=Role.SPLIT),
                *IDENTITY,
            )
            for name, metric in (("bad", gateway.GATEWAY_BAD_TRIES), ("good", gateway.GATEWAY_GOOD_TRIES))
        )
        self.failed_tries = self._add(
            f"model_version:fairlead_failed_tries:ratio_rate{window}",
            f"{bad} / ({bad} + {self.good_tries} > 0)",
            *IDENTITY,
        )
        self.retries = self._add(
            f"model_version:fairlead_retries:rate{window}",
            of_version(gateway.GATEWAY_RETRIES, "", window),
            *IDENTITY,
        )
        self.buckets = self._add(
            f"model_version_le:fairlead_latency_ms:rate{window}",
            of_version(gateway.GATEWAY_TIME, "_bucket", window, "le"),
            *IDENTITY,
            "le",
        )
        self.latency = {
            quantile: self._add(
                f"model_version:fairlead_latency_seconds:p{quantile * 100:g}_{window}",
                f"histogram_quantile({quantile:g}, {self.buckets}) / 1000",
                *IDENTITY,
            )
            for quantile in settings.quantiles
        }
        self.slow = self._add(
            f"model:fairlead_slow:ratio_rate{window}",
            # Prometheus 3 writes 1024 as 1024.0.
            f'1 - {total(f"""{self.buckets}{{le=~"{settings.slow_ms}([.]0)?"}}""", *MODEL)} / '
            f'({total(f"""{self.buckets}{{le="+Inf"}}""", *MODEL)} > 0)',
            *MODEL,
        )
        self.burnt = {one: self._burnt(one) for one in settings.burn_windows}
        self._of_load(window)
        self._for_scaling(settings.scaling_window)
        self.capacity = CapacityRecords(partial(self._add, group="capacity"), settings)
        self.weight, self.share = (
            self._add(
                f"model_version_role:fairlead_{name}:ratio",
                f"{largest(series(metric), *IDENTITY, 'role')} / {TOTAL_WEIGHT}",
                *IDENTITY,
                "role",
                group="rollouts",
            )
            for name, metric in (
                ("weight", control_telemetry.CONTROL_WEIGHT),
                ("share", control_telemetry.CONTROL_SHARE),
            )
        )
        self.drift = tuple(self._of_drift())
        quality = settings.quality
        self.quality = QualityRecords(partial(self._add, group="quality", every=quality.every), quality)

    def _of_load(self, window: str) -> None:
        """How full the services are, all instances of a version together."""

        def add(name: str, expression: str) -> str:
            return self._add(f"model_version:fairlead_{name}", expression, *IDENTITY, group="load")

        self.in_flight = add("in_flight_requests:sum", total(series(telemetry.MODEL_IN_FLIGHT), *IDENTITY))
        self.queue_rows = add("queue_rows:sum", total(series(telemetry.MODEL_QUEUE_ROWS), *IDENTITY))
        waits = total(rate(series(telemetry.MODEL_QUEUE_SECONDS, "_bucket"), window), *IDENTITY, "le")
        self.queue_seconds = add(f"queue_seconds:p99_{window}", f"histogram_quantile(0.99, {waits})")
        refused = rate(series(telemetry.MODEL_REJECTED, reason="~queue_full|deadline"), window)
        answered = rate(series(telemetry.MODEL_REQUESTS, protocol="!=other"), window)
        self.refused = add(
            f"refused:ratio_rate{window}", f"{total(refused, *IDENTITY)} / ({total(answered, *IDENTITY)} > 0)"
        )

    def _for_scaling(self, window: str) -> None:
        """What autoscalers of the model's chart read: one series for each version that is scraped.

        All but `wanted` are counted by the services, so that one scrape feeds them. Without requests each is 0: an
        autoscaler takes NaN, and a series that is not there, for a fault.
        """
        idle = f"0 * {self.in_flight}"

        def add(name: str, expression: str) -> str:
            return self._add(f"model_version:fairlead_scaling_{name}", expression, *IDENTITY, group="scaling")

        def p95(metric: Metric, **matchers: str) -> str:
            counts = total(rate(series(metric, "_bucket", **matchers), window), *IDENTITY, "le")
            return f"(histogram_quantile(0.95, {counts}) >= 0) or {idle}"

        self.scaling_in_flight = add(
            f"in_flight:avg{window}", total(average(series(telemetry.MODEL_IN_FLIGHT), window), *IDENTITY)
        )
        answered = series(telemetry.MODEL_REQUESTS, protocol="!=other")
        self.scaling_requests = add(f"requests:rate{window}", f"{total(rate(answered, window), *IDENTITY)} or {idle}")
        self.scaling_queue = add(f"queue_seconds:p95_{window}", p95(telemetry.MODEL_QUEUE_SECONDS))
        self.scaling_latency = add(
            f"latency_seconds:p95_{window}", p95(telemetry.MODEL_REQUEST_SECONDS, protocol="!=other")
        )
        self.scaling_wanted = add("wanted:max", largest(series(control_telemetry.CONTROL_WANTED), *IDENTITY))

    def _burnt(self, window: str) -> str:
        """The share of failed requests over one window, for the error budget."""
        every = total(of_version(gateway.GATEWAY_CLASSES, "", window), *MODEL)
        ratio = _ratio(_failed(window, rate), every)
        return self._add(f"model:fairlead_errors:ratio_rate{window}", ratio, *MODEL, group="budget")

    def _of_drift(self) -> Iterator[DriftRecords]:
        """The rules of each window. Those of the reference are in the group of the first one, which reads them."""
        settings, reference = self.settings.drift, None
        for window, every in settings.windows:
            add = partial(self._add, group=f"drift-{window}", every=every)
            reference = reference or Reference(add)
            yield DriftRecords(add, settings, window, reference, self.weight)

    def _add(self, name: str, expression: str, *labels: str, group: str = "requests", every: str = "") -> str:
        self.every.append(Record(name, expression, labels, group, every))
        return name


def failures(window: str) -> str:
    """How many requests of a model failed in this window."""
    return _failed(window, increase)


def _failed(window: str, over: Callable[[str, str], str]) -> str:
    failed = of_version(gateway.GATEWAY_CLASSES, "", window, over=over, envoy_response_code_class="5")
    return total(failed, *MODEL)


def _ratio(part: str, whole: str) -> str:
    """`part / whole`: 0 where there is no series of the part, and no series where nothing was counted."""
    return f"(({part}) or 0 * ({whole})) / (({whole}) > 0)"
