"""Calls of the model that exceed their time limit, and processes that end during a call."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead import errors
from fairlead.serving.inference.batch import late
from unit.serving.inference.test_batching import Harness

LIMIT_S = 60.0
LATE = 'fairlead_model_late_calls_total{model="m",outcome="%s"'
RESTARTS = 'fairlead_model_process_restarts_total{model="m",reason="%s"'


def hanging(**limits: int) -> Harness:
    return Harness(call_s=LIMIT_S, **limits)


def test_every_request_of_a_call_that_exceeds_the_limit_gets_an_error_and_is_counted_once() -> None:
    harness = hanging()
    tickets = [harness.batcher.submit(rows, 1) for rows in ([1], [2, 3])]
    harness.loop.settle()
    for _ in range(3):
        harness.loop.pass_time(LIMIT_S / 2)
        harness.batcher.check_calls()
    for ticket in tickets:
        failure = ticket.future.exception()
        assert isinstance(failure, errors.CallTimedOut)
        assert str(failure) == "predict has not returned within 60 s (call_timeout_s); it was called with 3 rows"
    assert harness.metric(LATE % "timed_out") == 1


def test_a_call_below_the_limit_is_left_alone() -> None:
    harness = hanging()
    ticket = harness.submit(1)
    harness.loop.pass_time(LIMIT_S - 0.1)
    harness.batcher.check_calls()
    harness.work()
    assert ticket.future.result() == [10]
    assert harness.told == []


def test_requests_that_wait_behind_a_call_that_hangs_are_told_so() -> None:
    harness = hanging()
    harness.submit(1)
    waiting = harness.submit(2, 3)
    harness.loop.pass_time(LIMIT_S)
    harness.batcher.check_calls()
    failure = waiting.future.exception()
    assert isinstance(failure, errors.NotReady)
    assert "predict has not returned" in str(failure)
    assert (harness.batcher.queued_rows, harness.batcher.queued_bytes) == (0, 0)
    assert harness.metric('fairlead_model_rejected_total{model="m",reason="not_ready"') == 1


def test_after_a_call_that_hung_has_returned_requests_are_answered_again() -> None:
    harness = hanging()
    harness.submit(1)
    harness.loop.pass_time(LIMIT_S)
    harness.batcher.check_calls()
    harness.work()
    assert [place for _, _, place in harness.told] == [False, True]
    assert harness.batcher.hanging == ""
    assert harness.metric(LATE % "returned") == 1
    again = harness.submit(4)
    harness.work()
    assert again.future.result() == [40]


def test_with_two_threads_the_other_one_goes_on_while_one_hangs() -> None:
    harness = hanging(threads=2)
    harness.submit(1)
    harness.loop.pass_time(LIMIT_S - 1)
    harness.submit(2)
    waiting = harness.submit(3)
    harness.loop.pass_time(1)
    harness.batcher.check_calls()
    assert harness.batcher.has_place
    assert not waiting.future.done()
    hangs = harness.workers.jobs.pop(0)
    harness.work()
    assert waiting.future.result() == [30]
    harness.workers.jobs.append(hangs)
    harness.work()
    assert harness.batcher.hanging == ""


def test_each_request_of_a_failed_batch_has_the_limit_for_itself() -> None:
    harness = hanging()

    def slow(rows: list[int]) -> list[int]:
        harness.loop.now += LIMIT_S * 0.9
        harness.batcher.check_calls()
        if len(rows) > 1:
            raise ValueError("not together")
        return rows

    harness.batcher._compute = slow
    tickets = [harness.batcher.submit([row], 1) for row in (1, 2)]
    harness.loop.settle()
    harness.work()
    assert [ticket.future.result() for ticket in tickets] == [[1], [2]]


def test_the_stack_of_a_call_that_hangs_names_its_code() -> None:
    harness = hanging()
    stacks: list[str] = []

    def stuck(rows: list[int]) -> list[int]:
        harness.loop.now += LIMIT_S
        harness.batcher.check_calls()
        stacks.extend(harness.batcher.stacks())
        return rows

    harness.batcher._compute = stuck
    harness.submit(1)
    harness.work()
    assert "in stuck" in stacks[0]


def ends(harness: Harness, error: errors.FairleadError, when: int) -> None:
    def compute(rows: list[int]) -> list[int]:
        if when in rows:
            raise error
        return [row * 10 for row in rows]

    harness.batcher._compute = compute


ENDED = errors.ProcessEnded("the model's process was ended by signal 9 (SIGKILL)")


def test_when_the_process_ends_every_request_of_the_call_gets_the_reason_and_the_process_is_replaced() -> None:
    harness = Harness()
    ends(harness, ENDED, 1)
    tickets = [harness.batcher.submit([row], 1) for row in (1, 2)]
    harness.loop.settle()
    harness.workers.work()
    assert [ticket.future.exception() for ticket in tickets] == [ENDED, ENDED]
    assert harness.told == [("", f"{ENDED}; another process loads the model", False)]
    assert harness.metric(RESTARTS % "ended") == 1
    harness.work()
    assert harness.told[-1] == ("", "", True)
    again = harness.submit(3)
    harness.work()
    assert again.future.result() == [30]


def test_when_the_process_ends_while_requests_are_tried_alone_those_not_tried_yet_get_its_error() -> None:
    harness = Harness()

    def compute(rows: list[int]) -> list[int]:
        if len(rows) > 1:
            raise ValueError("not together")
        if rows == [2]:
            raise ENDED
        return rows

    harness.batcher._compute = compute
    tickets = [harness.batcher.submit([row], 1) for row in (1, 2, 3)]
    harness.loop.settle()
    harness.work()
    assert tickets[0].future.result() == [1]
    assert [ticket.future.exception() for ticket in tickets[1:]] == [ENDED, ENDED]
    assert harness.metric(RESTARTS % "ended") == 1


def test_a_process_that_was_ended_at_the_limit_is_counted_as_such() -> None:
    harness = Harness()
    ends(harness, errors.CallTimedOut(late("predict", 60, 1)), 1)
    ticket = harness.submit(1)
    harness.work()
    assert isinstance(ticket.future.exception(), errors.CallTimedOut)
    assert (harness.metric(RESTARTS % "timed_out"), harness.metric(LATE % "timed_out")) == (1, 1)


def test_a_process_that_cannot_be_replaced_is_reported_and_its_place_stays_lost() -> None:
    harness = Harness()
    ends(harness, ENDED, 1)
    harness.replacement_failure = errors.ModelFailed("no such weights")
    harness.submit(1)
    harness.work()
    assert harness.batcher.failure is harness.replacement_failure
    assert not harness.batcher.has_place


STEPS = st.lists(st.sampled_from(["submit", "large", "time", "work", "end", "turn"]), max_size=60)


@settings(max_examples=150)
@given(steps=STEPS, threads=st.integers(1, 3), max_rows=st.integers(1, 4))
def test_whatever_hangs_or_ends_every_request_gets_a_result_and_the_queue_ends_empty(
    steps: list[str], threads: int, max_rows: int
) -> None:
    harness = hanging(threads=threads, max_rows=max_rows)
    ends(harness, ENDED, -7)
    tickets = []
    for step in steps:
        if step in ("submit", "large", "end") and harness.batcher.has_place:
            rows = {"submit": [1], "large": [1] * 5, "end": [-7]}[step]
            tickets.append(harness.batcher.submit(rows, 1))
        elif step == "time":
            harness.loop.pass_time(LIMIT_S / 2)
            harness.batcher.check_calls()
        elif step == "work" and harness.workers.jobs:
            harness.workers.work()
        elif step == "turn":
            harness.loop.turn()
    harness.loop.settle()
    harness.work()
    assert all(ticket.future.done() for ticket in tickets)
    assert (harness.batcher.queued_rows, harness.batcher.queued_bytes) == (0, 0)
    assert harness.batcher.has_place
    again = harness.submit(1)
    harness.work()
    assert again.future.result() == [10]


@pytest.mark.parametrize(("rows", "told"), [(1, "1 row"), (2, "2 rows")])
def test_rows_are_counted_in_words(rows: int, told: str) -> None:
    assert late("predict", 0.5, rows).endswith(f"it was called with {told}")
