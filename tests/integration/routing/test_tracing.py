"""Spans and the access log of a real gateway, sent to a real collector."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fairlead.routing.snapshot import AccessLog, Endpoint, Tracing
from integration.routing.backends import Backend, running_backends
from integration.routing.edge import V1, V2, Edge, an_edge, iris, serving, until
from support.otlp import Collector, running_collector

PATH = "/models/iris/predict?api_key=secret"
FLUSH_S = 15
"""Envoy sends spans every five seconds."""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as running:
        yield running


@contextmanager
def a_canary(folder: Path, *, status: int = 200, **settings: Any) -> Iterator[tuple[Edge, Backend, Backend]]:
    """A gateway whose candidate gets every request and answers with `status`."""
    with running_backends() as backends, an_edge(folder, **settings) as edge:
        stable, candidate = backends.start(V1.version), backends.start(V2.version)
        candidate.status = status
        for ref, backend in ((V1, stable), (V2, candidate)):
            edge.endpoints["default", "iris", ref] = [backend.endpoint]
        with serving(edge, iris(3, 10_000)):
            yield edge, stable, candidate


def traced(collector: Collector, **fields: Any) -> Tracing:
    return Tracing(Endpoint("127.0.0.1", collector.port), **fields)


def parents(recorded: bool, count: int) -> list[str]:
    ids = random.Random(7)
    return [f"00-{ids.getrandbits(128):032x}-{ids.getrandbits(64):016x}-0{int(recorded)}" for _ in range(count)]


def flag(backend: Backend, place: int = -1) -> str:
    return backend.seen[place].headers["traceparent"][-2:]


def test_a_trace_has_the_request_and_both_attempts_with_versions_and_why_the_first_one_failed(
    tmp_path: Path, collector: Collector
) -> None:
    with a_canary(tmp_path, status=503, tracing=traced(collector, per_million=1_000_000)) as (edge, stable, candidate):
        with edge.client() as client:
            answer = client.post(PATH, headers={"authorization": "Bearer secret"})
        trace_id = stable.seen[-1].headers["traceparent"].split("-")[1]
        until(lambda: len(collector.of(trace_id)) == 3, timeout_s=FLUSH_S)
    assert answer.status_code == 200
    found = collector.of(trace_id)
    [request] = [one for one in found if one.kind == 2]
    first, second = sorted((one for one in found if one.kind == 3), key=lambda one: one.attributes["fairlead.attempt"])
    assert {first.parent_id, second.parent_id} == {request.span_id}
    assert (first.attributes["fairlead.version"], first.attributes["http.status_code"]) == ("1.1.0", "503")
    assert first.is_error
    assert (second.attributes["fairlead.version"], second.attributes["http.status_code"]) == ("1.0.0", "200")
    assert request.attributes["fairlead.revision"] == "iris.3"
    assert request.attributes["fairlead.attempt"] == "2"
    assert request.attributes["guid:x-request-id"] == answer.headers["x-request-id"]
    # Each service continues its own attempt.
    for backend, attempt in ((candidate, first), (stable, second)):
        assert backend.seen[-1].headers["traceparent"] == f"00-{trace_id}-{attempt.span_id}-01"
    assert "secret" not in repr(found)


def test_a_share_of_traces_is_recorded_whatever_callers_say(tmp_path: Path, collector: Collector) -> None:
    with a_canary(tmp_path, tracing=traced(collector, per_million=100_000)) as (edge, _, candidate):
        with edge.client() as client:
            for parent in [*parents(True, 1000), *parents(False, 1000)]:
                client.post(PATH, headers={"traceparent": parent})
        flags = [flag(candidate, place) for place in range(2000)]
        said = [one.headers["traceparent"].split("-")[1] for one in candidate.seen]
    assert said == [parent.split("-")[1] for parent in [*parents(True, 1000), *parents(False, 1000)]]
    # The same ids were sent twice, first with the flag and then without: the decision is by the id alone.
    assert flags[:1000] == flags[1000:]
    assert 60 <= flags[:1000].count("01") <= 140  # 10 % of 1,000, by four standard deviations


def test_callers_that_are_trusted_decide_for_their_traces(tmp_path: Path, collector: Collector) -> None:
    with a_canary(tmp_path, tracing=traced(collector, per_million=0, follows_callers=True)) as (edge, _, candidate):
        with edge.client() as client:
            for parent in (parents(True, 1)[0], parents(False, 1)[0], ""):
                client.post(PATH, headers={"traceparent": parent} if parent else {})
        assert [flag(candidate, place) for place in range(3)] == ["01", "00", "00"]


def test_the_access_log_has_a_share_of_successes_and_why_attempts_failed(tmp_path: Path, collector: Collector) -> None:
    log = AccessLog(str(tmp_path / "access.log"), successes_per_million=100_000)
    settings = {"access_log": log, "tracing": traced(collector)}
    with a_canary(tmp_path, status=429, **settings) as (edge, stable, candidate), edge.client() as client:
        for _ in range(1000):
            assert client.post(PATH, headers={"authorization": "Bearer secret"}).status_code == 200
        assert len(stable.seen) == 1000
        candidate.status = 503
        assert client.post("/models/iris/versions/1.1.0/predict").status_code == 503  # always logged
        text = Path(log.path)
        until(lambda: '"status":503' in text.read_text())
        lines = [json.loads(line) for line in text.read_text().splitlines()]
    requests = [one for one in lines if "attempt" not in one]
    attempts = {one["request_id"]: one for one in lines if one.get("attempt") and one["status"] == 429}
    answered = [one for one in requests if one["status"] == 200]
    assert 60 <= len(answered) <= 140
    assert len(attempts) == 1000
    assert all((one["version"], one["attempts"]) == ("1.0.0", 2) for one in answered)
    assert all((one["version"], one["status"], one["attempt"]) == ("1.1.0", 429, "1") for one in attempts.values())
    assert all(len(one["trace_id"]) == 32 for one in answered)
    assert "secret" not in text.read_text()


def test_a_dead_collector_fails_no_request(tmp_path: Path) -> None:
    nowhere = Tracing(Endpoint("127.0.0.1", 1), per_million=1_000_000)
    with a_canary(tmp_path, tracing=nowhere) as (edge, _, _), edge.client() as client:
        assert {client.post(PATH).status_code for _ in range(2000)} == {200}
