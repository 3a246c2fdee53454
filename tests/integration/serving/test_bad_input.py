"""No input makes a real service of iris fail: each gets an error with a reason, and the next prediction is right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.serving.bad_http import PREDICT, Bad, post
from integration.serving.bad_inputs import everything
from support.service import Reply, Service

IRIS = Path(__file__).parents[3] / "build" / "models" / "iris" / "1.0.0"
EVERYTHING = everything()


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    assert IRIS.exists(), "build/models/iris is missing: run ci/models"
    with Service(IRIS, log=tmp_path_factory.mktemp("iris") / "log", flags=["--drain-s", "0"]) as service:
        yield service


def golden() -> tuple[object, object]:
    row = json.loads((IRIS / "golden.jsonl").read_text().splitlines()[0])
    return row["input"], row["expected"]


@pytest.mark.parametrize("bad", EVERYTHING, ids=lambda bad: bad.name)
def test_a_bad_input_gets_an_error_with_a_reason_and_the_next_prediction_is_right(iris: Service, bad: Bad) -> None:
    logged = iris.process.log.stat().st_size
    check_refusal(iris.send(bad.data, then_end=bad.then_end), bad)
    given, expected = golden()
    assert iris.send(post(PREDICT, given)).json() == expected
    assert "raceback" not in iris.process.log.read_text()[logged:]


@pytest.mark.parametrize("bad", EVERYTHING, ids=lambda bad: bad.name)
def test_the_fast_path_and_the_asgi_path_send_the_same_error_bytes(iris: Service, bad: Bad) -> None:
    """A request with a deadline takes the ASGI path. (A second deadline, or one in invalid HTTP, has no effect.)"""
    with_deadline = bad.data.replace(b"\r\n", b"\r\nx-deadline-ms: 60000\r\n", 1)
    short, long = (iris.send(data, then_end=bad.then_end) for data in (bad.data, with_deadline))
    assert anonymous(short) == anonymous(long)


def test_the_fast_path_and_the_asgi_path_send_the_same_answer_bytes(iris: Service) -> None:
    given, expected = golden()
    short = iris.send(post(PREDICT, given))
    long = iris.send(post(PREDICT, given, {"x-deadline-ms": "60000"}))
    assert anonymous(short) == anonymous(long)
    assert short.json() == expected


def anonymous(reply: Reply) -> tuple[int, list[tuple[str, str]], bytes]:
    """A response without its request id and date, which differ between two equal responses."""
    request_id = reply.headers["x-request-id"]
    kept = [(name, value) for name, value in reply.headers.items() if name not in ("date", "x-request-id")]
    return reply.status, kept, reply.body.replace(request_id.encode(), b"")


def check_refusal(reply: Reply, bad: Bad) -> None:
    assert reply.status == bad.status, reply
    # The client of KServe reads the errors of its protocols from application/json only.
    is_kserve = bad.data.split(b" ")[1:2][0].startswith((b"/v1/", b"/v2/")) if b" " in bad.data else False
    assert reply.headers["content-type"] == ("application/json" if is_kserve else "application/problem+json")
    assert (reply.headers["x-model-name"], reply.headers["x-model-version"]) == ("iris", "1.0.0")
    problem = reply.json()
    assert problem["status"] == bad.status
    assert problem["request_id"] == reply.headers["x-request-id"]
    assert problem["detail"]
    assert problem["error"] == problem["detail"]
    assert b"raceback" not in reply.body
    if bad.loc is not None:
        assert list(bad.loc) in [error["loc"] for error in problem["errors"]], problem["errors"]


def test_there_are_at_least_60_different_bad_inputs() -> None:
    assert len({bad.data for bad in EVERYTHING}) == len(EVERYTHING) >= 60
    assert len({bad.name for bad in EVERYTHING}) == len(EVERYTHING)


def test_the_service_logged_no_error(iris: Service) -> None:
    assert [line for line in iris.log_lines() if line["level"] == "error"] == []
