"""Readings from Prometheus: the same counters as on the gateways' admin pages, scraped at earlier times.

One scrape is one reading: all its samples carry the same time. A scrape that is not a faithful copy of the page (a
value that is no count, a missing part, two series for one counter) is no reading, and the caller gets the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fairlead.contracts.gateway import ClusterKey, Role, parse_stat, stat_name
from fairlead.contracts.latency import GRID_MS
from fairlead.contracts.prometheus import PrometheusSettings
from fairlead.contracts.table import Table
from fairlead.errors import Unavailable
from fairlead.rollout.analysis.envoy_stats import COUNTERS
from fairlead.rollout.analysis.prometheus_api import PrometheusApi
from fairlead.rollout.ports import Reading, Series

UPTIME = "envoy_server_uptime"
_CLUSTER = "envoy_cluster_"
_BUCKET = f"{_CLUSTER}upstream_rq_time_bucket"
_ENDPOINT = {f"{_CLUSTER}endpoint_rq_success": 0, f"{_CLUSTER}endpoint_rq_error": 1}
_TIMEOUT = f"{_CLUSTER}endpoint_rq_timeout"
_RETRIED = "retry.upstream_rq_completed"
_RETRIED_SERIES = f"{_CLUSTER}retry_upstream_rq_completed"
"""It exists only once an answer has caused a retry."""
_PLAIN = tuple(sorted(COUNTERS - {"upstream_rq_4xx", "upstream_rq_5xx", "upstream_rq_429", _RETRIED}))
"""The others have another name, or their code or its class as a label."""
_CLASS, _CODE = f"{_CLUSTER}upstream_rq_xx", f"{_CLUSTER}upstream_rq"
_NAMES = (*(f"{_CLUSTER}{name}" for name in _PLAIN), _RETRIED_SERIES, _CLASS, _CODE, *_ENDPOINT, _TIMEOUT)


class PrometheusStats:
    """`ports.History` over one Prometheus. Not for several threads at once."""

    def __init__(self, settings: PrometheusSettings, api: PrometheusApi | None = None) -> None:
        self._settings = settings
        self._api = api or PrometheusApi(settings)

    @property
    def interval_s(self) -> float:
        """The scrape interval from the settings."""
        return self._settings.scrape_interval

    def clock(self) -> datetime:
        """Prometheus's time."""
        return self._api.now()

    def series(self, selector: str, since: datetime, until: datetime) -> Sequence[Series]:
        """The series that a custom gate selects."""
        return self._api.samples(selector, since, until)

    def readings(self, table: Table, since: datetime, until: datetime, *, latency: bool) -> Sequence[Reading]:
        """Every scrape of every gateway in between, ascending. Raises Unavailable if a newest scrape is not valid."""
        label, ours = self._settings.gateway_label, self._settings.selector
        uptimes = self._api.samples(f"{UPTIME}{{{ours}}}", since, until)
        scrapes = _Scrapes(label)
        for one in uptimes:
            scrapes.open(one)
        if not scrapes.found:
            raise Unavailable(f"Prometheus has no scrape of a gateway: see prometheus.selector ({ours or 'none'})")
        cluster = f"({Role.SPLIT}|{Role.AGGREGATE}|{Role.FALLBACK})~{stat_name(table.namespace)}~{table.model}~.+"
        names = "|".join((*_NAMES, _BUCKET) if latency else _NAMES)
        matchers = f'__name__=~"{names}",envoy_cluster_name=~"{cluster}"' + (f",{ours}" if ours else "")
        for one in self._api.samples(f"{{{matchers}}}", since, until):
            scrapes.add(one)
        return scrapes.readings()

    def close(self) -> None:
        """Close the connection."""
        self._api.close()


@dataclass
class _Scrape:
    """One gateway's counters at one moment."""

    uptime_s: float
    clusters: dict[ClusterKey, dict[str, int]] = field(default_factory=dict)
    endpoints: dict[ClusterKey, dict[str, list[int]]] = field(default_factory=dict)
    buckets: dict[ClusterKey, dict[float, int]] = field(default_factory=dict)
    timeouts: dict[ClusterKey, dict[str, int]] = field(default_factory=dict)
    invalid: str = ""

    def reading(self, gateway: str, at: float) -> Reading:
        return Reading(
            gateway,
            datetime.fromtimestamp(at, UTC),
            self.clusters,
            {
                key: {address: (one[0], one[1]) for address, one in hosts.items()}
                for key, hosts in self.endpoints.items()
            },
            self.uptime_s,
            {key: buckets for key, found in self.buckets.items() if (buckets := _on_the_grid(found))},
            self.timeouts,
        )

    def missing_part(self) -> str:
        """The name of a missing counter, or empty if none is missing. A missing counter would be counted as zero."""
        for key, counters in self.clusters.items():
            if not counters.get("upstream_rq_completed"):
                continue
            if not any(name.endswith("xx") for name in counters):
                return f"{_CLASS} of {key.version}"
            if not any(name.removeprefix("upstream_rq_").isdigit() for name in counters):
                return f"{_CODE} of {key.version}"
            for plain in _PLAIN:
                if plain not in counters:
                    return f"{_CLUSTER}{plain} of {key.version}"
            # An aggregate has no endpoints of its own, but where there is an aggregate, stable has endpoints.
            if not (self.endpoints if key.role is Role.AGGREGATE else self.endpoints.get(key)):
                return f"{next(iter(_ENDPOINT))} of {key.version}"
        for key, hosts in self.endpoints.items():
            if any(-1 in one for one in hosts.values()) or hosts.keys() - self.timeouts.get(key, {}).keys():
                return f"one of {', '.join((*_ENDPOINT, _TIMEOUT))} of {key.version}"
        return ""


class _Scrapes:
    """The scrapes of all gateways, filled series by series."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._seen: set[tuple[str, ...]] = set()
        self.found: dict[str, dict[float, _Scrape]] = {}

    def open(self, uptime: Series) -> None:
        gateway = self._gateway(uptime.labels)
        self._only_once(gateway, UPTIME)
        self.found[gateway] = {at: _Scrape(value) for at, value in uptime.samples}
        for scrape in self.found[gateway].values():
            if not scrape.uptime_s >= 0:
                scrape.invalid = f"{UPTIME} is {scrape.uptime_s:g}"
        if not self.found[gateway]:
            del self.found[gateway]

    def add(self, series: Series) -> None:
        labels = series.labels
        name, key = labels.get("__name__", ""), parse_stat(labels.get("envoy_cluster_name", ""))
        if key is None:
            return
        gateway = self._gateway(labels)
        detail = next((labels[one] for one in _DETAILS if one in labels), "")
        self._only_once(gateway, name, labels["envoy_cluster_name"], detail)
        set_value = _setter(name, key, detail)
        if set_value is None:
            return
        scrapes = self.found.get(gateway, {})
        for at, value in series.samples:
            scrape = scrapes.get(at)
            if scrape is None:
                continue
            if value < 0 or value != _whole(value):
                scrape.invalid = scrape.invalid or f"{name} of {key.version} is {value:g}, which is no count"
            else:
                set_value(scrape, int(value))

    def readings(self) -> list[Reading]:
        for gateway, scrapes in sorted(self.found.items()):
            newest = scrapes[max(scrapes)]
            for scrape in scrapes.values():
                if not scrape.invalid and (missing := scrape.missing_part()):
                    scrape.invalid = f"{missing} was not scraped"
            if newest.invalid:
                raise Unavailable(f"the last scrape of gateway {gateway} says nothing: {newest.invalid}")
        return sorted(self._valid(), key=lambda one: (one.at, one.gateway))

    def _valid(self) -> Iterator[Reading]:
        for gateway, scrapes in self.found.items():
            for at, scrape in scrapes.items():
                if not scrape.invalid:
                    yield scrape.reading(gateway, at)

    def _gateway(self, labels: Mapping[str, str]) -> str:
        gateway = labels.get(self._label)
        if not gateway:
            raise Unavailable(f"what Prometheus scraped has no label {self._label!r}: see prometheus.gatewayLabel")
        return gateway

    def _only_once(self, *what: str) -> None:
        if what in self._seen:
            metric = " ".join(filter(None, what[1:]))
            raise Unavailable(f"Prometheus has {metric} of gateway {what[0]} twice: prometheus.selector must leave one")
        self._seen.add(what)


_DETAILS = ("envoy_response_code_class", "envoy_response_code", "envoy_endpoint_address", "le")


def _whole(value: float) -> float:
    """The integer part; NaN for NaN and the infinities, so that a comparison with it is false."""
    return float(int(value)) if value - value == 0 else float("nan")


def _setter(name: str, key: ClusterKey, detail: str) -> Callable[[_Scrape, int], None] | None:
    """A function that stores a value of this counter in a scrape; None if the counter is not used."""
    if name == _BUCKET:
        bound = float(detail)
        return lambda scrape, value: scrape.buckets.setdefault(key, {}).__setitem__(bound, value)
    if name == _TIMEOUT:
        return lambda scrape, value: scrape.timeouts.setdefault(key, {}).__setitem__(detail, value)
    if name in _ENDPOINT:
        at = _ENDPOINT[name]
        return lambda scrape, value: (
            scrape.endpoints.setdefault(key, {}).setdefault(detail, [-1, -1]).__setitem__(at, value)
        )
    if name == _CLASS:
        counter = f"upstream_rq_{detail}xx"
    elif name == _CODE:
        counter = f"upstream_rq_{detail}"
    elif name == _RETRIED_SERIES:
        counter = _RETRIED
    elif name.removeprefix(_CLUSTER) in _PLAIN:
        counter = name.removeprefix(_CLUSTER)
    else:
        return None
    return lambda scrape, value: scrape.clusters.setdefault(key, {}).__setitem__(counter, value)


def _on_the_grid(found: Mapping[float, int]) -> tuple[int, ...]:
    return tuple(found[bound] for bound in GRID_MS) if set(GRID_MS) <= found.keys() else ()
