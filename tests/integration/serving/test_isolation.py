"""A model with `isolation: process`: what its callers, its probes and its log get when its process misbehaves."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from integration.serving.stuck import Stuck
from support import folders
from support.processes import is_alive, wait_until
from support.service import Service

FLAGS = ["--drain-s", "0"]
HEALTH_S = 0.05
HELD_S, CALL_S = 5, 8


@contextlib.contextmanager
def serving(stuck: Stuck, tmp_path: Path, ready: int = 200, **env: Any) -> Iterator[Service]:
    named = {f"FAIRLEAD_SERVING_{name.upper()}": str(value) for name, value in env.items()}
    service = Service(stuck.folder, log=tmp_path / "log", flags=FLAGS, env=named)
    with service.start("/readyz", ready).process:
        yield service


@pytest.fixture
def stuck(tmp_path: Path) -> Stuck:
    return Stuck(tmp_path, isolation="process")


class Shared(NamedTuple):
    """A running service that several tests use. Each of them leaves it ready."""

    stuck: Stuck
    service: Service


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("shared")
    stuck = Stuck(folder, isolation="process")
    with serving(stuck, folder, call_timeout_s=CALL_S) as service:
        yield Shared(stuck, service)


def restarts(service: Service, reason: str) -> float:
    return service.metric("fairlead_model_process_restarts_total", reason=reason)


def seconds_of(service: Service, path: str) -> float:
    began = time.monotonic()
    assert service.ask("GET", path).status == 200
    return time.monotonic() - began


def test_health_answers_as_fast_while_predict_holds_the_interpreter_as_while_it_is_idle(shared: Shared) -> None:
    service = shared.service
    idle = [seconds_of(service, "/livez") for _ in range(30)]
    with ThreadPoolExecutor(1) as client:
        held = client.submit(service.predict, {"do": "hold", "seconds": HELD_S})
        wait_until(lambda: service.metric("fairlead_model_in_flight_requests") == 1, "it is being answered")
        took = []
        while not held.done():
            took += [seconds_of(service, "/livez"), seconds_of(service, "/readyz")]
            time.sleep(0.05)
        assert held.result().status == 200
    assert statistics.median(took) < statistics.median(idle) + HEALTH_S
    assert max(took) < HELD_S / 2


@pytest.mark.parametrize(
    ("do", "told"),
    [
        ("killed", "was ended by signal 9 (SIGKILL) in a call with 1 row; the kernel ends a process this way"),
        ("segfault", "was ended by signal 11 (SIGSEGV) in a call with 1 row"),
        ("_exit", "exited with code 7 in a call with 1 row"),
    ],
)
def test_a_process_that_ends_in_a_call_is_told_to_the_caller_and_replaced(shared: Shared, do: str, told: str) -> None:
    service = shared.service
    before, counted = service.predict({}).json()["pid"], restarts(service, "ended")
    reply = service.predict({"do": do})
    assert (reply.status, reply.json()["type"]) == (500, "urn:fairlead:problem:process-ended")
    assert told in reply.json()["detail"]
    wait_until(lambda: service.answers("/readyz", 200), "it is ready again")
    after = service.predict({}).json()["pid"]
    assert after not in (before, service.process.pid)
    assert shared.stuck.loads()[-1] == after
    assert restarts(service, "ended") == counted + 1


def test_while_another_process_loads_the_service_is_alive_not_ready_and_says_why(shared: Shared) -> None:
    stuck, service = shared
    stuck.load_with("wait")
    assert service.predict({"do": "killed"}).status == 500
    for reply in (service.ask("GET", "/readyz"), service.predict({})):
        assert reply.status == 503
        assert "SIGKILL" in reply.json()["detail"]
        assert "another process loads the model" in reply.json()["detail"]
    assert service.ask("GET", "/livez").status == 200
    stuck.release()
    wait_until(lambda: service.answers("/readyz", 200), "it is ready again")
    stuck.load_with("")
    stuck.hold()


def test_a_process_whose_call_exceeds_the_limit_is_replaced_and_the_service_stays_alive(shared: Shared) -> None:
    service = shared.service
    hangs = service.predict({}).json()["pid"]
    reply = service.predict({"do": "wait"})
    assert (reply.status, reply.json()["type"]) == (504, "urn:fairlead:problem:call-timed-out")
    assert service.ask("GET", "/livez").status == 200
    wait_until(lambda: service.answers("/readyz", 200), "it is ready again")
    assert service.predict({}).status == 200
    assert not is_alive(hangs)
    assert restarts(service, "timed_out") == 1


def test_what_the_model_raises_and_logs_is_in_the_log_of_the_service(shared: Shared) -> None:
    service = shared.service
    counted = restarts(service, "ended")
    reply = service.predict({"do": "raise"})
    assert reply.json()["type"] == "urn:fairlead:problem:model-failed"
    assert "secret" not in reply.body.decode()
    assert service.predict({"do": "exit"}).json()["type"] == "urn:fairlead:problem:model-failed"
    assert service.predict({}).status == 200
    assert restarts(service, "ended") == counted
    lines = [json.loads(line) for line in service.process.log.read_text().splitlines() if line.startswith("{")]
    assert ("author", "loading") in [(line["logger"], line["message"]) for line in lines]
    traceback = next(line["traceback"] for line in reversed(lines) if "secret" in line.get("traceback", ""))
    assert "ValueError: a secret of the inside" in traceback
    assert "in obey" in traceback


def test_a_process_that_ends_three_times_while_it_loads_is_not_tried_again(stuck: Stuck, tmp_path: Path) -> None:
    stuck.load_with("segfault")
    with serving(stuck, tmp_path, ready=503) as service:
        wait_until(lambda: service.metric("fairlead_model_phase", phase="failed") == 1, "it has failed")
        detail = service.ask("GET", "/readyz").json()["detail"]
        assert detail.startswith("the model cannot be served: the model's process was ended by signal 11")
        assert "while it loaded the model" in detail
    assert (tmp_path / "log").read_text().count("ended and is started again") == 2


def test_a_process_that_cannot_be_replaced_is_a_failed_model_with_the_reason(stuck: Stuck, tmp_path: Path) -> None:
    with serving(stuck, tmp_path) as service:
        stuck.load_with("raise")
        assert service.predict({"do": "killed"}).status == 500
        wait_until(lambda: service.metric("fairlead_model_phase", phase="failed") == 1, "it has failed")
        assert "ValueError: a secret of the inside" in service.ask("GET", "/readyz").json()["detail"]
        assert service.predict({}).status == 503


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process that computes does not notice")
def test_the_process_ends_with_the_service_also_in_the_middle_of_a_call(
    stuck: Stuck, tmp_path: Path, by: signal.Signals
) -> None:
    with serving(stuck, tmp_path, finish_s=1) as service, ThreadPoolExecutor(1) as client:
        pid = service.predict({}).json()["pid"]
        client.submit(service.predict, {"do": "hold", "seconds": 30})
        wait_until(lambda: service.metric("fairlead_model_in_flight_requests") == 1, "it is being answered")
        os.kill(service.process.pid, by)
        service.process.wait()
        wait_until(lambda: not is_alive(pid), "its model ends too", within=5)


def test_each_of_several_threads_has_a_process_and_one_goes_on_while_another_is_replaced(
    stuck: Stuck, tmp_path: Path
) -> None:
    with serving(stuck, tmp_path, threads=2) as service, ThreadPoolExecutor(4) as clients:
        stuck.load_with("wait")
        assert service.predict({"do": "killed"}).status == 500
        replies = list(clients.map(service.predict, [{}] * 8))
        assert {reply.status for reply in replies} == {200}
        assert service.ask("GET", "/readyz").status == 503
        stuck.release()
        wait_until(lambda: service.answers("/readyz", 200), "it is ready again")
        assert len(set(stuck.loads())) == 3


NESTED = """
from datetime import date
from enum import Enum
from pydantic import BaseModel, Field
import fairlead

class Colour(Enum):
    RED = "red"
    BLUE = "blue"

class Part(BaseModel):
    size: int
    colour: Colour = Colour.RED

class Order(BaseModel):
    day: date
    parts: list[Part] = Field(default_factory=list)
    sizes: tuple[int, ...] = ()
    note: str | None = None

class Special(Order):
    hidden: int = 1

class Echo(fairlead.Model[Order, Order]):
    def predict(self, rows: list[Order]) -> list[Order]:
        return [Special(**row.model_dump()) if row.note else row for row in rows]
"""


def test_nested_rows_and_answers_are_the_same_as_without_a_process(tmp_path: Path) -> None:
    rows = [
        {"day": "2026-01-31", "parts": [{"size": 3, "colour": "blue"}, {"size": -1}], "sizes": [1, 2]},
        {"day": "2026-01-31", "note": "a subclass"},
    ]
    answers = {}
    for isolation in ("thread", "process"):
        place = tmp_path / isolation
        folder = folders.make(
            place / "model", code=NESTED, artifact=None, golden=[], name="echo", entry="model:Echo", isolation=isolation
        )
        with Service(folder, log=place / "log", flags=FLAGS) as service:
            reply = service.predict(rows)
            assert reply.status == 200
            answers[isolation] = json.loads(reply.body)
    assert answers["thread"] == answers["process"]
