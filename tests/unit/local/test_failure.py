"""When an instance has failed for good, so that a release of its version is told at once."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from fairlead.local.failure import RESTARTS, Failure, why_unready
from fairlead.local.probe import Reply

NOW = datetime(2026, 1, 1, tzinfo=UTC)
READY = Reply(200, b'{"status": "ready"}', {})


def problem(kind: str, detail: str) -> Reply:
    return Reply(503, json.dumps({"type": f"urn:fairlead:problem:{kind}", "detail": detail}).encode(), {})


FAILED = problem("load-failed", "the model cannot be served: ValueError: no")


def a_failure(*, ended: int = 0) -> Failure:
    found = Failure(lambda: NOW)
    for _ in range(ended):
        found.ended("exited with code 1: no module named nope")
    return found


def test_a_model_that_cannot_be_loaded_has_failed_for_good() -> None:
    failure = a_failure()
    failure.answered(FAILED)
    assert (failure.why, failure.at) == ("the model cannot be served: ValueError: no", NOW)


@pytest.mark.parametrize(
    "reply",
    [
        READY,
        Reply(0, b"refused", {}),
        problem("not-ready", "the model is being loaded"),
        Reply(503, b"\xff", {}),
        Reply(503, b"[1]", {}),
    ],
)
def test_any_other_answer_is_no_failure_for_good(reply: Reply) -> None:
    failure = a_failure()
    failure.answered(reply)
    assert (failure.why, failure.at) == ("", None)


def test_a_process_that_ends_at_each_start_has_failed_after_three_restarts() -> None:
    assert a_failure(ended=RESTARTS).at is None
    failure = a_failure(ended=RESTARTS + 1)
    assert failure.at == NOW
    assert failure.why == (
        "its process ended at each of 4 starts before it was ready; the last one exited with code 1: "
        "no module named nope"
    )


def test_it_stays_failed_while_it_is_started_once_more() -> None:
    failure = a_failure(ended=RESTARTS + 1)
    failure.answered(Reply(0, b"refused", {}))
    failure.answered(problem("not-ready", "the model is being loaded"))
    assert failure.at == NOW


def test_a_process_that_was_ready_in_between_begins_to_count_anew() -> None:
    failure = a_failure(ended=RESTARTS)
    failure.answered(READY)
    failure.ended("exited with code 1")
    assert failure.at is None


def test_a_new_attempt_begins_to_count_anew() -> None:
    failure = a_failure(ended=RESTARTS + 1)
    failure.forget()
    assert (failure.why, failure.at) == ("", None)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(0, b"refused", {}), "starting"),
        (FAILED, "the model cannot be served: ValueError: no"),
        (Reply(503, b"<html>", {}), "answered 503"),
        (Reply(503, b'{"detail": null}', {}), "answered 503"),
    ],
)
def test_why_it_is_not_ready_is_what_it_says(reply: Reply, why: str) -> None:
    assert why_unready(reply) == why
