"""Tests of the child processes for tests."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

from support.processes import Child, ProcessFailed, free_ports, is_alive, wait_until

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
IGNORES_SIGTERM = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


def test_a_child_has_ended_after_its_block(tmp_path: Path) -> None:
    with Child("sleeper", SLEEPER, log=tmp_path / "log") as child:
        assert is_alive(child.pid)
    assert child.exit_code == -signal.SIGTERM
    assert not is_alive(child.pid)


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    with Child("ignores SIGTERM", IGNORES_SIGTERM, log=tmp_path / "log") as child:
        child.wait_until(lambda: "up" in child.tail(), "it has started")
        assert child.stop(within=0.2) == -signal.SIGKILL


def test_waiting_for_a_child_that_ended_fails_at_once_with_its_log(tmp_path: Path) -> None:
    with Child("failing", [sys.executable, "-c", "raise SystemExit('no port')"], log=tmp_path / "log") as child:
        start = time.monotonic()
        with pytest.raises(ProcessFailed, match="no port"):
            child.wait_until(lambda: False, "it listens", within=30)
        assert time.monotonic() - start < 10


def test_a_condition_that_stays_false_fails_with_its_description() -> None:
    with pytest.raises(ProcessFailed, match="the port is open"):
        wait_until(lambda: False, "the port is open", within=0.05)


def test_free_ports_differ_from_each_other() -> None:
    assert len(set(free_ports(20))) == 20
