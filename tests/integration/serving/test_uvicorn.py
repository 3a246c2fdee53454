"""The service with the oldest uvicorn that is allowed, and with one whose private parts are not as expected."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import fairlead
from integration.serving.bad_http import PREDICT, Bad, post
from integration.serving.bad_inputs import everything
from integration.serving.test_bad_input import IRIS, anonymous, check_refusal, golden
from support.service import Service

ROOT = Path(__file__).parents[3]
SERVICES = Path(fairlead.__file__).parents[1]
EVERYTHING = everything()
PART_GONE = """
import uvicorn.protocols.http.httptools_impl as impl
del impl.HttpToolsProtocol._start_asgi_task
"""


def serving(folder: Path, first: Path) -> Service:
    """Iris, with the modules of `first` before all others."""
    path = os.pathsep.join([str(first), str(SERVICES)])
    return Service(IRIS, log=folder / "log", flags=["--drain-s", "0"], env={"PYTHONPATH": path})


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    command = [str(ROOT / "ci/environment"), "uvicorn-oldest"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    (packages,) = Path(done.stdout.strip()).glob("lib/python*/site-packages")
    with serving(tmp_path_factory.mktemp("oldest"), packages) as service:
        yield service


@pytest.fixture(scope="module")
def without_a_part(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("without-a-part")
    (folder / "sitecustomize.py").write_text(PART_GONE)
    with serving(folder, folder) as service:
        yield service


@pytest.mark.parametrize("bad", EVERYTHING, ids=lambda bad: bad.name)
def test_the_oldest_uvicorn_refuses_bad_input_as_the_newest_does(oldest: Service, bad: Bad) -> None:
    check_refusal(oldest.send(bad.data, then_end=bad.then_end), bad)


def test_the_oldest_uvicorn_has_the_fast_path_with_the_same_answers(oldest: Service) -> None:
    given, expected = golden()
    short, long = (oldest.send(post(PREDICT, given, more)) for more in ({}, {"x-deadline-ms": "60000"}))
    assert anonymous(short) == anonymous(long)
    assert short.json() == expected
    assert not [line for line in oldest.log_lines() if "fast path" in line["message"]]


def test_a_connection_is_closed_when_the_client_asks_for_it(oldest: Service) -> None:
    """Before 0.53 uvicorn did not know it yet when the fast path answers, and kept the connection open."""
    given, _ = golden()
    with oldest.connect(within=5) as connection:
        connection.sendall(post(PREDICT, given, {"connection": "close"}))
        received = b""
        while data := connection.recv(65536):
            received += data
    assert b"connection: close" in received


def test_without_a_part_of_uvicorn_the_service_answers_and_logs_one_line(without_a_part: Service) -> None:
    given, expected = golden()
    reply = without_a_part.predict(given)
    assert (reply.status, reply.json()) == (200, expected)
    assert reply.headers["x-model-name"] == "iris"
    assert without_a_part.predict({}).json()["type"] == "urn:fairlead:problem:invalid"
    (warning,) = [line for line in without_a_part.log_lines() if line["level"] == "warning"]
    assert "the fast path is off" in warning["message"]
    assert "HttpToolsProtocol has no _start_asgi_task" in warning["reason"]


def test_without_a_part_of_uvicorn_a_large_head_is_still_refused(without_a_part: Service) -> None:
    with contextlib.suppress(ConnectionError):  # uvicorn may close before the client has sent everything
        assert without_a_part.ask("GET", "/livez", headers={"a": "x" * (1 << 20)}).status == 400
    assert without_a_part.ask("GET", "/livez").status == 200


def test_without_a_part_of_uvicorn_requests_on_one_connection_are_answered_in_order(without_a_part: Service) -> None:
    given, expected = golden()
    with without_a_part.connect() as connection:
        connection.sendall(post(PREDICT, given) * 2 + post(PREDICT, given, {"connection": "close"}))
        received = b""
        while data := connection.recv(65536):
            received += data
    bodies = [part.partition(b"\r\n\r\n")[2] for part in received.split(b"HTTP/1.1 200 OK")[1:]]
    assert [json.loads(body) for body in bodies] == [expected] * 3
