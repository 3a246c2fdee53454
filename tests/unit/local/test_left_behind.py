"""Processes of a killed supervisor: the next one goes on with them, or ends them first."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import pytest

from fairlead.contracts.exit_status import UNKNOWN_CODE, how_it_ended
from fairlead.local.child import Child
from fairlead.local.left_behind import Adopted, Known, LeftBehind, start_time
from unit.local.test_child import SLEEPER, until


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    found = subprocess.Popen(SLEEPER, start_new_session=True)
    yield found
    found.kill()
    found.wait()


def left_by(process: subprocess.Popen[bytes], command: str) -> LeftBehind:
    return LeftBehind({"sleeper": Known(process.pid, start_time(process.pid) or "", command)})


def play(child: Child, story: Callable[[], Coroutine[object, object, None]]) -> None:
    async def run() -> None:
        running = asyncio.create_task(child.run())
        await until(lambda: child.pid is not None)
        await story()
        await child.stop(5)
        await running

    asyncio.run(run())


def command_of(tmp_path: Path, **environment: str) -> str:
    return Child("sleeper", SLEEPER, tmp_path / "log", environment=environment).command


def test_a_process_that_the_child_would_start_is_gone_on_with(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    child = Child("sleeper", SLEEPER, tmp_path / "log", left=left_by(process, command_of(tmp_path)))

    async def story() -> None:
        assert (child.pid, child.is_adopted, child.restarts) == (process.pid, True, 0)

    play(child, story)
    assert process.wait(5) == -signal.SIGTERM


def test_a_child_that_is_stopped_before_it_runs_ends_the_process_that_was_left(
    tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    child = Child("sleeper", SLEEPER, tmp_path / "log", left=left_by(process, command_of(tmp_path)))

    asyncio.run(child.stop(5))

    assert process.wait(5) == -signal.SIGTERM


def test_an_adopted_process_that_ends_is_restarted(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    exits: list[int] = []
    left = left_by(process, command_of(tmp_path))
    child = Child("sleeper", SLEEPER, tmp_path / "log", left=left, on_exit=exits.append)

    async def story() -> None:
        process.kill()
        process.wait()
        await until(lambda: child.pid not in (None, process.pid))
        assert (exits, child.is_adopted) == ([UNKNOWN_CODE], False)

    play(child, story)
    assert how_it_ended(UNKNOWN_CODE) == "ended"


def test_a_process_that_was_started_differently_ends_before_another_one_starts(
    tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    child = Child("sleeper", SLEEPER, tmp_path / "log", left=left_by(process, "other"))

    async def story() -> None:
        assert (child.pid == process.pid, child.is_adopted) == (False, False)
        assert process.poll() == -signal.SIGTERM

    play(child, story)


def test_a_process_that_is_adopted_is_not_asked_whether_it_may_start(
    tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    async def never() -> str:
        raise AssertionError

    left = left_by(process, command_of(tmp_path))

    async def story() -> None: ...

    play(Child("sleeper", SLEEPER, tmp_path / "log", left=left, why_not=never), story)


@pytest.mark.parametrize(
    ("name", "is_other"), [("FAIRLEAD_SERVING_THREADS", True), ("FAIRLEAD_ACTOR", False), ("PATH", False)]
)
def test_settings_of_the_service_distinguish_processes_and_nothing_else_of_the_environment_does(
    tmp_path: Path, name: str, is_other: bool
) -> None:
    assert (command_of(tmp_path, **{name: "7"}) != command_of(tmp_path)) is is_other


def test_a_process_with_a_reused_pid_is_neither_taken_nor_signalled(process: subprocess.Popen[bytes]) -> None:
    known = Known(process.pid, "another start", "same")
    left = LeftBehind({"sleeper": known})
    assert not left.can_go_on("sleeper", "same")
    assert left.take("sleeper") is None
    with pytest.raises(ProcessLookupError):
        Adopted(known).kill()
    assert process.poll() is None


def test_a_process_is_taken_once(process: subprocess.Popen[bytes]) -> None:
    left = left_by(process, "same")
    assert left.take("sleeper") is not None
    assert ("sleeper" in left, left.take("sleeper")) == (False, None)


def test_stopping_while_a_start_is_being_decided_starts_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        asked = asyncio.Event()

        async def slow() -> str:
            asked.set()
            await asyncio.sleep(0.05)
            return ""

        child = Child("sleeper", SLEEPER, tmp_path / "log", why_not=slow)
        running = asyncio.create_task(child.run())
        await asked.wait()
        await child.stop(5)
        await asyncio.wait_for(running, 5)
        assert child.pid is None

    asyncio.run(run())
