"""Tests of the backend that fails on command."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.faults.backend import Backend, Faults
from support.processes import answers_on


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    with Backend("iris", "1.0.0", log=tmp_path / "backend.log") as running:
        yield running


def ask(backend: Backend, path: str = "/predict", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", backend.port, timeout=5)
    connection.request("POST", path, b"{}", {name.replace("_", "-"): value for name, value in headers.items()})
    reply = connection.getresponse()
    reply.read()
    connection.close()
    return reply


def test_answers_name_the_model_and_echo_the_request_id(backend: Backend) -> None:
    reply = ask(backend, x_request_id="r-1")
    assert reply.status == 200
    assert reply.headers["x-model-name"] == "iris"
    assert reply.headers["x-model-version"] == "1.0.0"
    assert reply.headers["x-request-id"] == "r-1"


def test_requests_are_counted_by_kind_and_health_checks_separately(backend: Backend) -> None:
    ask(backend)
    ask(backend, x_load="pinned")
    ask(backend, x_shadow_of="iris")
    ask(backend, "/readyz")
    counts = backend.all_counts()
    assert {kind: one.asked for kind, one in counts.items()} == {"users": 1, "pinned": 1, "shadow": 1, "probe": 1}
    backend.reset_counts()
    assert all(one.asked == 0 for one in backend.all_counts().values())


def test_readiness_is_independent_of_the_other_faults(backend: Backend) -> None:
    backend.behave(Faults(ready=False))
    assert ask(backend, "/readyz").status == 503
    assert ask(backend).status == 200


def test_a_backend_that_refused_connections_can_accept_them_again(backend: Backend) -> None:
    backend.behave(Faults(mode="refuse"))
    assert not answers_on(backend.port)
    backend.behave(Faults())
    assert ask(backend).status == 200


def test_a_fault_can_have_the_status_429(backend: Backend) -> None:
    backend.behave(Faults(fail=1.0, status=429))
    assert ask(backend).status == 429
    assert backend.counts().answered == {429: 1}
