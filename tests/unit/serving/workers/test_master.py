"""The master: which workers it ends, and which it replaces."""

from __future__ import annotations

import importlib
import importlib.util
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fairlead import errors
from fairlead.serving.observe.board import Board
from fairlead.serving.observe.shared_memory import SharedMemory
from fairlead.serving.settings import Settings
from support.missing import skip_or_fail


@pytest.fixture
def master() -> Any:
    if importlib.util.find_spec("gunicorn") is None:
        raise skip_or_fail("gunicorn is not installed: ci/setup dev installs it")
    module = importlib.import_module("fairlead.serving.workers.master")
    program = module._Program(Path("model"), Settings(), Board(SharedMemory(2)), 2)
    made = module._Master(program, socket.socket())
    made.WORKERS = {}
    yield made
    made.LISTENERS[0].close()


def worker(number: int) -> Any:
    return SimpleNamespace(number=number, tmp=SimpleNamespace(close=lambda: None))


def test_a_worker_that_has_not_been_alive_for_a_minute_is_ended(master: Any) -> None:
    now = time.monotonic()
    for number, alive_at in enumerate((now - 61, now - 59)):
        master._board.memory.own = number
        master._board.beat(alive_at)
    children = [subprocess.Popen(["sleep", "60"]) for _ in range(2)]
    master.WORKERS = {child.pid: worker(number) for number, child in enumerate(children)}
    master.murder_workers()
    assert children[0].wait() == -signal.SIGKILL
    assert children[1].poll() is None
    children[1].kill()
    children[1].wait()


def test_a_new_worker_gets_the_first_free_number(master: Any) -> None:
    master.WORKERS = {1: worker(1)}
    fresh = SimpleNamespace(number=None)
    master.begin(fresh)
    assert fresh.number == 0


def test_workers_that_end_when_they_were_ready_are_replaced_for_ever(master: Any) -> None:
    for _ in range(20):
        master._board.begin(0, is_first=False)
        master._board.enter("ready", "ready")
        master._ended(0, 1, -signal.SIGKILL)
    assert master.failure is None


def test_a_worker_that_becomes_ready_between_two_lost_ones_keeps_the_service(master: Any) -> None:
    for phase in ("loading", "warming", "ready", "loading", "loading"):
        master._board.enter(phase, "")
        master._ended(0, 1, 255)
    with pytest.raises(StopIteration):
        master._ended(0, 1, 255)
    assert isinstance(master.failure, errors.NotReady)
    assert master.failure.message == "worker 1 exited with code 255 while it loaded the model, 3 times in a row"


def test_no_worker_is_given_up_while_the_service_stops(master: Any) -> None:
    master._stopping = True
    for _ in range(5):
        master._ended(0, 1, -signal.SIGKILL)
    assert master.failure is None
