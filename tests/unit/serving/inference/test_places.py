"""Batchers that share the threads of a model: predictions, and explanations of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.serving.inference import batching
from fairlead.serving.inference.places import Places
from unit.serving.inference.test_batching import Harness

LIMIT_S = 60.0


class Shared(Harness):
    """Predictions, and beside them a batcher of explanations on the same threads."""

    def __init__(self, threads: int = 1, **limits: Any) -> None:
        super().__init__(threads=threads, **limits)
        places = Places(threads)
        defaults: dict[str, Any] = {"max_rows": 8, "max_wait_s": 0.0, "queue_rows": 100, "queue_bytes": 1000}
        defaults["call_s"] = LIMIT_S
        common: dict[str, Any] = {
            "loop": self.loop,
            "clock": lambda: self.loop.now,
            "meter": self.meter,
            "owner": self,
            "places": places,
        }
        self.batcher = batching.Batcher(self.compute, self.workers, batching.Limits(**(defaults | limits)), **common)
        alone = batching.Limits(**(defaults | {"max_rows": 1}))
        self.explainer = batching.Batcher(self.explain, self.workers, alone, method="explain", **common)
        self.order: list[str] = []

    def compute(self, rows: list[int]) -> list[int]:
        self.order.append("predict")
        return super().compute(rows)

    def explain(self, rows: list[Any]) -> list[Any]:
        self.order.append("explain")
        return rows

    def asked(self, what: str, *, deadline: float | None = None) -> batching.Ticket:
        which = self.explainer if what == "explain" else self.batcher
        ticket = which.submit([1], 1, deadline)
        self.loop.settle()
        return ticket


@pytest.mark.parametrize(("first", "second"), [("explain", "predict"), ("predict", "explain")])
def test_a_deadline_holds_while_a_call_of_the_other_method_has_the_thread(first: str, second: str) -> None:
    shared = Shared()
    shared.asked(first)
    waiting = shared.asked(second, deadline=0.2)
    assert len(shared.workers.jobs) == 1
    shared.loop.pass_time(0.3)
    assert isinstance(waiting.future.exception(), errors.DeadlineExceeded)
    shared.work()
    assert shared.order == [first]


@pytest.mark.parametrize(("first", "second"), [("explain", "predict"), ("predict", "explain")])
def test_what_waits_for_the_other_method_is_not_late_and_is_refused_where_that_one_hangs(
    first: str, second: str
) -> None:
    shared = Shared()
    shared.asked(first)
    waiting = shared.asked(second)
    shared.loop.pass_time(LIMIT_S + 1)
    for batcher in (shared.batcher, shared.explainer):
        batcher.check_calls()
    assert shared.metric('fairlead_model_late_calls_total{model="m",outcome="timed_out"') == 1
    refused = waiting.future.exception()
    assert isinstance(refused, errors.NotReady)
    assert refused.message.startswith(f"{first} has not returned")
    assert not shared.batcher.has_place
    assert not shared.explainer.has_place
    shared.work()
    again = shared.asked(second)
    shared.work()
    assert again.future.done()
    assert shared.batcher.has_place


def test_two_calls_that_hang_leave_no_place_of_two_whichever_method_they_are_of() -> None:
    shared = Shared(threads=2)
    shared.asked("explain")
    shared.asked("predict")
    shared.loop.pass_time(LIMIT_S + 1)
    for batcher in (shared.batcher, shared.explainer):
        batcher.check_calls()
    assert not shared.batcher.has_place


def test_neither_method_waits_until_the_queue_of_the_other_is_empty() -> None:
    shared = Shared(max_rows=1)
    for _ in range(6):
        shared.asked("explain")
        shared.asked("predict")
    shared.work()
    assert shared.order == ["explain", "predict"] * 6


@given(
    asked=st.lists(st.sampled_from(["explain", "predict"]), max_size=30),
    threads=st.integers(1, 3),
    given_up=st.sets(st.integers(0, 29)),
    max_wait_s=st.sampled_from([0.0, 0.01]),
)
def test_every_request_is_answered_and_never_more_calls_than_threads_are_under_way(
    asked: list[str], threads: int, given_up: set[int], max_wait_s: float
) -> None:
    shared = Shared(threads=threads, max_wait_s=max_wait_s, max_rows=2)
    tickets = []
    for number, what in enumerate(asked):
        tickets.append(shared.asked(what))
        assert len(shared.workers.jobs) <= threads
        if number in given_up:
            (shared.explainer if what == "explain" else shared.batcher).give_up(tickets[-1], "disconnected")
    for _ in range(len(asked) + 1):
        shared.loop.pass_time(0.02)
        shared.work()
    assert all(ticket.future.done() for ticket in tickets)
    assert not shared.explainer.queued_rows + shared.batcher.queued_rows
