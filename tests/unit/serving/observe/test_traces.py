from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from fairlead.serving.observe.otlp import Spans
from fairlead.serving.observe.traces import MOST_LINKS, RequestTrace, SpanId, Tracer, parent

TRACE, CALLER = "ab" * 16, "cd" * 8


@dataclass(eq=False)
class Ticket:
    admitted: float = 0.0
    rows: Sequence[Any] = (1, 2)


@dataclass
class Part:
    ticket: Ticket


@dataclass
class Batch:
    parts: Sequence[Part]
    began: float = 3.0
    seconds: float = 4.0
    count: int = 5


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Scene:
    clock: Clock = field(default_factory=Clock)
    finished: list[RequestTrace] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tracer = Tracer(self.clock, self.finished.append)

    def request(self, trace_id: str = TRACE) -> RequestTrace:
        known = {"method": "POST", "path": "/predict", "protocol": "predict", "request_id": "r"}
        return RequestTrace(self.tracer, SpanId(trace_id, CALLER), **known)


@pytest.mark.parametrize("flags", ["01", "03", "ff"])
def test_a_caller_that_records_is_followed(flags: str) -> None:
    assert parent(f"00-{TRACE}-{CALLER}-{flags}".encode()) == SpanId(TRACE, CALLER)


@pytest.mark.parametrize(
    "header",
    [
        f"00-{TRACE}-{CALLER}-00",
        f"00-{TRACE}-{CALLER}-02",
        f"00-{'0' * 32}-{CALLER}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{CALLER}-01",
        f"00-{TRACE}-01",
        "",
        "é",
    ],
)
def test_a_caller_that_does_not_record_is_not(header: str) -> None:
    assert parent(header.encode()) is None


def test_the_stages_of_a_request_follow_each_other_without_gaps_in_its_span() -> None:
    scene = Scene()
    trace = scene.request()
    ticket = Ticket(admitted=1.0)
    trace.queued(ticket)
    scene.clock.now = 8.0
    scene.tracer.keep(Batch([Part(ticket), Part(Ticket())]))
    scene.clock.now = 9.0
    trace.stop(200, "")
    request, *stages = Spans("iris", "1.0.0").of(trace, offset=1_000)
    times = {one["name"]: (int(one["startTimeUnixNano"]), int(one["endTimeUnixNano"])) for one in stages}
    second = 1_000_000_000
    assert times == {
        "decode": (1_000, second + 1_000),
        "queue": (second + 1_000, 3 * second + 1_000),
        "compute": (3 * second + 1_000, 7 * second + 1_000),
        "encode": (8 * second + 1_000, 9 * second + 1_000),
    }
    assert (request["parentSpanId"], request["traceId"]) == (CALLER, TRACE)
    assert {one["parentSpanId"] for one in stages} == {request["spanId"]}
    assert stages[2]["attributes"] == [
        {"key": "fairlead.batch.rows", "value": {"intValue": "5"}},
        {"key": "fairlead.batch.requests", "value": {"intValue": "2"}},
    ]


def test_requests_of_one_call_link_to_each_other() -> None:
    scene = Scene()
    traces = [scene.request(f"{place:032x}") for place in range(1, 4)]
    tickets = [Ticket() for _ in traces]
    for trace, ticket in zip(traces, tickets, strict=True):
        trace.queued(ticket)
    scene.tracer.keep(Batch([Part(one) for one in tickets]))
    for trace in traces:
        others = {one.span for one in traces if one is not trace}
        assert set(trace.calls[0].others) == others


def test_a_call_with_many_recorded_requests_has_a_bounded_number_of_links() -> None:
    scene = Scene()
    traces, tickets = [scene.request() for _ in range(100)], [Ticket() for _ in range(100)]
    for trace, ticket in zip(traces, tickets, strict=True):
        trace.queued(ticket)
    scene.tracer.keep(Batch([Part(one) for one in tickets]))
    assert {len(trace.calls[0].others) for trace in traces} == {MOST_LINKS}


def test_a_request_that_ends_before_its_call_does_is_forgotten() -> None:
    scene = Scene()
    trace, ticket = scene.request(), Ticket()
    trace.queued(ticket)
    trace.stop(504, "late")
    scene.tracer.keep(Batch([Part(ticket)]))
    assert (scene.finished, scene.tracer.waiting, trace.calls) == ([trace], {}, [])
    request, *stages = Spans("iris", "1.0.0").of(trace, offset=0)
    assert request["status"] == {"code": 2, "message": "late"}
    assert [one["name"] for one in stages] == ["decode"]
