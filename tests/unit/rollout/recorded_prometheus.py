"""Prometheus's HTTP API over samples that a test recorded, with correct answers and with faults."""

from __future__ import annotations

import json
import re
import socket
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fairlead.contracts.gateway import Role, stat_name
from fairlead.contracts.latency import GRID_MS
from fairlead.rollout.ports import Reading
from support.background import serve_in_background

Labels = tuple[tuple[str, str], ...]
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')


@dataclass
class RecordedPrometheus:
    """Samples by series, and how the server behaves."""

    now: datetime
    samples: dict[Labels, list[tuple[float, str]]] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    """Metrics that relabelling drops."""
    skew_s: float = 0.0
    """How far Prometheus's clock is ahead."""
    status: int = 200
    body: str | None = None
    """Sent instead of an answer."""
    warnings: tuple[str, ...] = ()
    silent: bool = False
    """Closes every connection."""
    hang_s: float = 0.0
    port: int = 0
    tokens: list[str | None] = field(default_factory=list)

    def pass_time(self, seconds: float) -> None:
        """Move Prometheus's clock."""
        self.now += timedelta(seconds=seconds)

    def scrape(self, reading: Reading, **extra: str) -> None:
        """Record one gateway's page now."""
        for labels, value in _page(reading):
            self.put({**labels, "instance": reading.gateway, "job": "fairlead-gateway", **extra}, value)

    def put(self, labels: dict[str, str], value: float | str) -> None:
        """Record one sample now. As in Prometheus, a sample that is older than the newest is dropped."""
        if labels["__name__"] not in self.dropped:
            at = (self.now + timedelta(seconds=self.skew_s)).timestamp()
            kept = self.samples.setdefault(tuple(sorted(labels.items())), [])
            if not kept or at > kept[-1][0]:
                kept.append((at, str(value)))

    def spoil(self, name: str, value: str) -> None:
        """Replace the newest samples of a metric by this value."""
        for labels, found in self.samples.items():
            if dict(labels)["__name__"] == name:
                found[-1] = (found[-1][0], value)

    def answer(self, query: str, at: float | None) -> dict[str, Any]:
        """The data that /api/v1/query returns."""
        if query == "time()":
            now = (self.now + timedelta(seconds=self.skew_s)).timestamp()
            return {"resultType": "scalar", "result": [now, str(now)]}
        assert at is not None
        found = re.fullmatch(r"(\w*)\{(.*)\}\[(\d+)ms\]", query)
        assert found, f"not a raw selector: {query}"
        matchers = [*_MATCHER.findall(found[2]), *([("__name__", "=", found[1])] if found[1] else [])]
        result = []
        for labels, samples in self.samples.items():
            first, end = bisect_left(samples, (at - int(found[3]) / 1000,)), bisect_right(samples, (at, "~"))
            inside = samples[first:end]
            if inside and all(_fits(dict(labels).get(name, ""), how, what) for name, how, what in matchers):
                result.append({"metric": dict(labels), "values": inside})
        return {"resultType": "matrix", "result": result}


def _fits(value: str, how: str, what: str) -> bool:
    same = value == what if how in ("=", "!=") else re.fullmatch(what, value) is not None
    return same if how in ("=", "=~") else not same


def _page(reading: Reading) -> Iterator[tuple[dict[str, str], float]]:
    """The reading in the form of Envoy's /stats/prometheus."""
    yield {"__name__": "envoy_server_uptime"}, reading.uptime_s or 0.0
    for key, counters in reading.clusters.items():
        at = {"envoy_cluster_name": stat_name("~".join((key.role, key.namespace, key.model, key.version)))}
        n, bad = counters.get("upstream_rq_completed", 0), counters.get("upstream_rq_5xx", 0)
        yield {"__name__": "envoy_cluster_upstream_rq_completed", **at}, n
        for name in (
            "upstream_rq_retry",
            "upstream_rq_retry_success",
            "upstream_rq_timeout",
            "upstream_cx_connect_fail",
            "upstream_cx_destroy_local_with_active_rq",
            "upstream_cx_destroy_remote_with_active_rq",
            "upstream_cx_none_healthy",
        ):
            yield {"__name__": f"envoy_cluster_{name}", **at}, counters.get(name, 0)
        if n:
            for code, value in (("2", n - bad), ("5", bad)):
                yield {"__name__": "envoy_cluster_upstream_rq_xx", **at, "envoy_response_code_class": code}, value
            for code, value in (("200", n - bad), ("500", bad)):
                yield {"__name__": "envoy_cluster_upstream_rq", **at, "envoy_response_code": code}, value
        if key.role in (Role.SPLIT, Role.AGGREGATE):
            for bound, value in zip(GRID_MS, reading.latency.get(key, ()), strict=False):
                yield {"__name__": "envoy_cluster_upstream_rq_time_bucket", **at, "le": str(bound)}, value
        for address, (ok, failed) in reading.endpoints.get(key, {}).items():
            host = {**at, "envoy_endpoint_address": address}
            yield {"__name__": "envoy_cluster_endpoint_rq_success", **host}, ok
            yield {"__name__": "envoy_cluster_endpoint_rq_error", **host}, failed
            timed_out = reading.timeouts.get(key, {}).get(address, 0)
            yield {"__name__": "envoy_cluster_endpoint_rq_timeout", **host}, timed_out


@contextmanager
def serving(recorded: RecordedPrometheus) -> Iterator[RecordedPrometheus]:
    """Serve it on a loopback port, over real HTTP."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet: apart, each response waits 40 ms for a delayed ACK

        def do_GET(self) -> None:
            recorded.tokens.append(self.headers.get("Authorization"))
            time.sleep(recorded.hang_s)
            if recorded.silent:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            asked = parse_qs(urlsplit(self.path).query)
            told: dict[str, Any] = {"status": "success"}
            if recorded.body is None:
                moment = asked.get("time", [None])[0]
                told["data"] = recorded.answer(asked["query"][0], float(moment) if moment else None)
            if recorded.warnings:
                told["warnings"] = list(recorded.warnings)
            body = (json.dumps(told) if recorded.body is None else recorded.body).encode()
            self.send_response(recorded.status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """No log."""

        def handle(self) -> None:
            try:
                super().handle()
            except (OSError, ValueError):
                self.close_connection = True

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Ignore connections that a test broke."""

    server = Server(("127.0.0.1", 0), Handler)
    recorded.port = server.server_address[1]
    with serve_in_background(server):
        yield recorded
