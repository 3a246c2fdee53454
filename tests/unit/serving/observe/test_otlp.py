from __future__ import annotations

import threading
from collections import Counter

import pytest

from fairlead import errors
from fairlead.serving.observe.otlp import MOST_WAITING, Exporter, Target, target_of
from fairlead.serving.observe.traces import RequestTrace, SpanId, Tracer
from support.otlp import running_collector

BASE = "OTEL_EXPORTER_OTLP_ENDPOINT"


def trace() -> RequestTrace:
    tracer = Tracer(lambda: 0.0, lambda _: None)
    caller = SpanId("ab" * 16, "cd" * 8)
    return RequestTrace(tracer, caller, method="POST", path="/predict", protocol="predict", request_id="r")


class Counts(Counter[str]):
    """What the exporter has counted."""

    def __call__(self, outcome: str, requests: int) -> None:
        self[outcome] += requests


@pytest.mark.parametrize(
    "environ",
    [{}, {BASE: ""}, {BASE: "http://a:4318", "OTEL_SDK_DISABLED": "true"}, {BASE: "x", "OTEL_TRACES_EXPORTER": "none"}],
)
def test_without_an_endpoint_there_are_no_spans(environ: dict[str, str]) -> None:
    assert target_of(environ) is None


def test_the_standard_variables_are_read() -> None:
    environ = {
        BASE: "http://collector:4318/",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20b, other=1",
        "OTEL_RESOURCE_ATTRIBUTES": "team=ml,service.name=first",
        "OTEL_SERVICE_NAME": "shop",
    }
    found = target_of(environ)
    assert found == Target(
        "http://collector:4318/v1/traces", {"x-key": "a b", "other": "1"}, {"team": "ml", "service.name": "shop"}
    )


def test_the_endpoint_of_traces_is_used_as_it_is() -> None:
    found = target_of({BASE: "http://a:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://b/own/path"})
    assert found is not None
    assert found.url == "https://b/own/path"


@pytest.mark.parametrize("endpoint", ["collector:4318", "grpc://a:4317", "http://", "http://a:0", "http://a:99999"])
def test_an_endpoint_that_cannot_be_used_is_refused_with_a_hint(endpoint: str) -> None:
    with pytest.raises(errors.Invalid, match="no address of a collector") as refused:
        target_of({BASE: endpoint})
    assert "4318" in (refused.value.hint or "")


def test_grpc_is_refused_with_what_to_set() -> None:
    with pytest.raises(errors.Invalid, match="over HTTP only"):
        target_of({BASE: "http://a:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})


def test_a_broken_list_of_headers_is_refused_without_showing_it() -> None:
    with pytest.raises(errors.Invalid) as refused:
        target_of({BASE: "http://a:4318", "OTEL_EXPORTER_OTLP_HEADERS": "secret"})
    assert "secret" not in str(refused.value)


def test_what_waits_is_sent_when_the_service_ends_with_headers_and_resource() -> None:
    counts = Counts()
    with running_collector() as collector:
        target = Target(f"{collector.url}/v1/traces", {"x-key": "k"}, {"team": "ml"})
        exporter = Exporter(target, "iris", "1.0.0", counts)
        exporter.start()
        for _ in range(300):
            exporter.add(trace())
        exporter.close()
    assert counts == {"sent": 300}
    assert len(collector.spans) == 300
    assert {one["x-key"] for one in collector.headers} == {"k"}
    assert {one.service for one in collector.spans} == {"iris"}


def test_a_collector_that_refuses_costs_spans_that_are_counted() -> None:
    counts = Counts()
    with running_collector() as collector:
        collector.status = 503
        exporter = Exporter(Target(f"{collector.url}/v1/traces"), "iris", "1.0.0", counts)
        exporter.start()
        exporter.add(trace())
        exporter.close()
    assert counts == {"dropped": 1}


def test_more_than_the_bound_are_dropped_at_once() -> None:
    counts = Counts()
    exporter = Exporter(Target("http://127.0.0.1:1/v1/traces"), "iris", "1.0.0", counts)
    for _ in range(MOST_WAITING + 10):  # the thread has not started: nothing is sent
        exporter.add(trace())
    assert counts == {"dropped": 10}
    exporter.start()
    exporter.close()
    assert counts["dropped"] == MOST_WAITING + 10
    assert not any(one.name == "spans" for one in threading.enumerate())
