"""One trace through a real gateway and real services: a canary that fails, and stable that answers in its place."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from fairlead.routing.snapshot import Endpoint, Tracing
from integration.routing.edge import V1, V2, Edge, an_edge, iris, serving, until
from support.faults import folders
from support.otlp import Collector, Span, running_collector
from support.platform import DOUBLER
from support.service import Service

JSON = {"content-type": "application/json"}
FLUSH_S = 15
"""Envoy sends spans every five seconds."""


@contextmanager
def a_canary(root: Path, collector: str, tracing: Tracing | None) -> Iterator[tuple[Edge, dict[str, Service]]]:
    """A real gateway whose candidate gets every request, in front of two real services."""
    with ExitStack() as running:
        edge = running.enter_context(an_edge(root / "gateway", tracing=tracing))
        services = {}
        for ref in (V1, V2):
            folder = folders.make(root, "iris", ref.version)
            log, env = root / f"{ref.version}.log", {"OTEL_EXPORTER_OTLP_ENDPOINT": collector}
            service = running.enter_context(Service(folder, log=log, env=env))
            services[ref.version] = service
            edge.endpoints["default", "iris", ref] = [Endpoint("127.0.0.1", service.port)]
        running.enter_context(serving(edge, iris(3, 10_000)))
        yield edge, services


def ask(edge: Edge, **headers: str) -> httpx.Response:
    return httpx.post(f"{edge.url}/models/iris/predict", content=DOUBLER, headers={**JSON, **headers}, timeout=20)


def below(span: Span, spans: list[Span]) -> list[str]:
    """The names of the spans whose parent it is, in order of time."""
    return [one.name for one in spans if one.parent_id == span.span_id]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as running:
        yield running


def test_one_trace_has_the_gateway_both_attempts_and_the_stages_of_both_services(
    tmp_path: Path, collector: Collector
) -> None:
    (tmp_path / "gateway").mkdir()
    everything = Tracing(Endpoint("127.0.0.1", collector.port), per_million=1_000_000)
    trace_id = f"{random.getrandbits(128):032x}"
    with a_canary(tmp_path, collector.url, everything) as (edge, _):
        folders.behave(tmp_path / "iris" / "1.1.0", fail=1)
        answer = ask(edge, traceparent=f"00-{trace_id}-{'ab' * 8}-00")
        until(lambda: len(collector.of(trace_id)) >= 13, timeout_s=FLUSH_S)
    assert (answer.status_code, answer.headers["x-model-version"]) == (200, "1.0.0")
    spans = collector.of(trace_id)
    [request] = [one for one in spans if one.service == "fairlead-gateway" and one.kind == 2]
    assert request.parent_id == "ab" * 8  # the caller's trace is continued, whether the caller records it or not
    attempts = [one for one in spans if one.parent_id == request.span_id]
    by_version = {one.attributes["fairlead.version"]: one for one in attempts}
    assert {version: one.attributes["http.status_code"] for version, one in by_version.items()} == {
        "1.1.0": "500",
        "1.0.0": "200",
    }
    served = {one.attributes["fairlead.version"]: one for one in spans if one.service == "iris" and one.kind == 2}
    for version, attempt in by_version.items():
        service = served[version]
        assert service.parent_id == attempt.span_id
        assert set(below(service, spans)) == {"decode", "queue", "compute", "encode"}
        assert service.attributes["fairlead.request_id"] == answer.headers["x-request-id"]
        assert sum(one.seconds for one in spans if one.parent_id == service.span_id) <= service.seconds + 1e-6
    assert (served["1.1.0"].is_error, served["1.0.0"].is_error) == (True, False)


def test_a_collector_that_refuses_spans_does_not_fill_the_log_of_the_gateway(tmp_path: Path) -> None:
    (tmp_path / "gateway").mkdir()
    with running_collector() as collector:
        collector.status = 500
        everything = Tracing(Endpoint("127.0.0.1", collector.port), per_million=1_000_000)
        with a_canary(tmp_path, collector.url, everything) as (edge, _):
            with httpx.Client(base_url=edge.url, headers=JSON) as client:
                statuses = {client.post("/models/iris/predict", content=DOUBLER).status_code for _ in range(100)}
            until(lambda: len(collector.headers) > 10, timeout_s=FLUSH_S)
        assert statuses == {200}
    assert "OTLP" not in (tmp_path / "gateway" / "envoy.log").read_text()


def test_a_dead_collector_fails_no_request_and_its_spans_are_counted(tmp_path: Path) -> None:
    (tmp_path / "gateway").mkdir()
    nowhere = Tracing(Endpoint("127.0.0.1", 1), per_million=1_000_000)
    with a_canary(tmp_path, "http://127.0.0.1:1", nowhere) as (edge, services):
        candidate = services["1.1.0"]
        with httpx.Client(base_url=edge.url, headers=JSON) as client:
            statuses = {client.post("/models/iris/predict", content=DOUBLER).status_code for _ in range(3000)}
        name = "fairlead_model_traced_requests_total"
        until(lambda: candidate.metric(name, outcome="dropped") == 3000)
        assert candidate.metric(name, outcome="sent") == 0
        told = [one for one in candidate.log_lines() if one["message"] == "spans are dropped"]
        assert len(told) == 1  # not once a second
    assert statuses == {200}


def test_a_service_that_gets_no_recorded_request_sends_nothing(tmp_path: Path) -> None:
    with running_collector() as collector:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        with Service(folders.make(tmp_path, "iris", "1.0.0"), log=tmp_path / "log", env=env) as service:
            for flags in ("00", "02"):
                service.ask("POST", "/predict", DOUBLER, {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-{flags}"})
            service.ask("POST", "/predict", DOUBLER)
        assert collector.headers == []


def test_a_request_beside_the_fast_path_has_the_same_spans(tmp_path: Path) -> None:
    folder = folders.make(tmp_path, "iris", "1.0.0")
    with running_collector() as collector:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SERVICE_NAME": "shop"}
        with Service(folder, log=tmp_path / "log", env=env) as service:
            trace = f"00-{'ab' * 16}-{'cd' * 8}-01"
            # With a deadline, a request does not take the fast path.
            answer = service.ask("POST", "/predict", DOUBLER, {"traceparent": trace, "x-deadline-ms": "5000"})
            assert answer.status == 200
        assert {one.service for one in collector.spans} == {"shop"}
        [request] = [one for one in collector.spans if one.kind == 2]
        assert set(below(request, collector.spans)) == {"decode", "queue", "compute", "encode"}
