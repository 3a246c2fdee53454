"""Reads the counters of one gateway from Envoy's admin page /stats."""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from fairlead.contracts.gateway import ClusterKey, Role, parse_counter
from fairlead.contracts.latency import GRID_MS
from fairlead.contracts.window import Buckets
from fairlead.rollout.ports import Reading

COUNTERS = frozenset(
    {
        "upstream_rq_completed",
        "upstream_rq_4xx",
        "upstream_rq_5xx",
        "upstream_rq_429",
        "upstream_rq_retry",
        "upstream_rq_retry_success",
        "retry.upstream_rq_completed",
        "upstream_rq_timeout",
        "upstream_cx_connect_fail",
        "upstream_cx_destroy_local_with_active_rq",
        "upstream_cx_destroy_remote_with_active_rq",
        "upstream_cx_none_healthy",
    }
)
"""The counters of a cluster that the estimator uses. No others are fetched."""

_ROLES = (Role.SPLIT, Role.AGGREGATE, Role.FALLBACK)
_TIME = "upstream_rq_time"
_UPTIME = "server.uptime"
_COUNTED = "|".join(sorted(map(re.escape, COUNTERS)))
_FILTER = (
    rf"^cluster\.({'|'.join(_ROLES)})~[^.]+\.({_COUNTED}|{_TIME}|endpoint\..+\.rq_(success|error|timeout))$"
    rf"|^server\.uptime$"
)
# usedonly: a gateway with 50 routes has 40,000 counters, and reading all of them takes three times as long.
_PATH = f"/stats?usedonly&histogram_buckets=cumulative&filter={quote(_FILTER, safe='')}"
_BUCKET = re.compile(r"B([0-9.e+]+)\(\d+,(\d+)\)")


def parse_stats(text: str, *, gateway: str, at: datetime) -> Reading:
    """Parse the text of /stats, one "name: value" per line. Other lines are skipped.

    Raises ValueError when one of our counters is not a number or the uptime is missing: half a page is no reading.
    """
    clusters: dict[ClusterKey, dict[str, int]] = {}
    endpoints: dict[ClusterKey, dict[str, dict[str, int]]] = {}
    latency: dict[ClusterKey, Buckets] = {}
    uptime_s: float | None = None
    for line in text.splitlines():
        name, _, value = line.partition(": ")
        if name == _UPTIME:
            uptime_s = float(value)
            continue
        found = parse_counter(name)
        if found is None:
            continue
        key, counter = found
        if counter in COUNTERS:
            clusters.setdefault(key, {})[counter] = int(value)
        elif counter == _TIME:
            latency[key] = _buckets(value)
        elif counter.startswith("endpoint."):
            address, _, which = counter.removeprefix("endpoint.").rpartition(".")
            endpoints.setdefault(key, {}).setdefault(address, {})[which] = int(value)
    if uptime_s is None:
        raise ValueError("the page of counters has no server.uptime: it was cut off, or is not Envoy's")
    answered = {key: {at: _answered(one) for at, one in hosts.items()} for key, hosts in endpoints.items()}
    timeouts = {
        key: {at: one["rq_timeout"] for at, one in hosts.items() if "rq_timeout" in one}
        for key, hosts in endpoints.items()
    }
    return Reading(gateway, at, clusters, answered, uptime_s, latency, timeouts)


def _answered(counters: Mapping[str, int]) -> tuple[int, int]:
    return counters.get("rq_success", 0), counters.get("rq_error", 0)


def _buckets(value: str) -> Buckets:
    """ "B1(0,38) B2(0,39) ...", where the second number counts since the start. Empty if the grid is not ours."""
    found = {float(bound): int(count) for bound, count in _BUCKET.findall(value)}
    return tuple(found[bound] for bound in GRID_MS) if set(GRID_MS) <= found.keys() else ()


class EnvoyStats:
    """`ports.MetricSource` for one gateway, over one kept connection. Not for several threads at once."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        name: str = "edge",
        timeout_s: float = 0.5,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._name = name
        self._clock = clock
        self._http = http.client.HTTPConnection(host, port, timeout=timeout_s)

    def read(self) -> Sequence[Reading]:
        """One reading, or none if the gateway did not answer in time or its answer was not valid. Never raises."""
        try:
            self._http.request("GET", _PATH)
            response = self._http.getresponse()
            text = response.read().decode()
            if response.status != http.client.OK:
                raise ValueError(f"status {response.status}")
            return (parse_stats(text, gateway=self._name, at=self._clock()),)
        except (OSError, http.client.HTTPException, ValueError):
            # The next reading opens the connection again.
            self._http.close()
            return ()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()
