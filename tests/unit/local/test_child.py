import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fairlead.local.child import FIRST_PAUSE_S, Child


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def python(*lines: str) -> list[str]:
    return [sys.executable, "-c", "\n".join(lines)]


SLEEPER = python("import time", "time.sleep(60)")
STUBBORN = python(
    "import signal, time, sys",
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "print('ready', flush=True)",
    "time.sleep(60)",
)


def test_a_killed_child_is_restarted(tmp_path: Path) -> None:
    started: list[int] = []
    exits: list[int] = []

    async def story() -> None:
        child = Child("sleeper", SLEEPER, tmp_path / "log", on_start=started.append, on_exit=exits.append)
        running = asyncio.create_task(child.run())
        await until(lambda: child.pid is not None)
        first = child.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: len(started) == 2)
        await child.stop(5)
        await running
        assert child.restarts == 1

    asyncio.run(story())
    assert exits == [-signal.SIGKILL]
    assert started[0] != started[1]


def test_a_stopped_child_stays_stopped(tmp_path: Path) -> None:
    started: list[int] = []

    async def story() -> None:
        child = Child("sleeper", SLEEPER, tmp_path / "log", on_start=started.append)
        running = asyncio.create_task(child.run())
        await until(lambda: child.pid is not None)
        await child.stop(5)
        await asyncio.wait_for(running, 5)
        assert child.pid is None

    asyncio.run(story())
    assert len(started) == 1


def test_a_held_child_does_not_run_before_it_is_released(tmp_path: Path) -> None:
    started: list[int] = []

    async def story() -> None:
        child = Child("sleeper", SLEEPER, tmp_path / "log", on_start=started.append)
        running = asyncio.create_task(child.run())
        await until(lambda: child.pid is not None)
        await child.hold(5)
        assert child.is_held
        await asyncio.sleep(0.5)
        assert (child.pid, len(started)) == (None, 1)
        child.release()
        await until(lambda: len(started) == 2)
        await child.stop(5)
        await asyncio.wait_for(running, 5)

    asyncio.run(story())


def test_a_held_child_can_be_stopped(tmp_path: Path) -> None:
    async def story() -> None:
        child = Child("sleeper", SLEEPER, tmp_path / "log")
        running = asyncio.create_task(child.run())
        await until(lambda: child.pid is not None)
        await child.hold(5)
        await child.stop(5)
        await asyncio.wait_for(running, 5)

    asyncio.run(story())


def test_a_child_that_ignores_sigterm_is_killed_after_the_grace_period(tmp_path: Path) -> None:
    log = tmp_path / "log"

    async def story() -> None:
        child = Child("stubborn", STUBBORN, log)
        running = asyncio.create_task(child.run())
        await until(lambda: log.exists() and "ready" in log.read_text())
        await child.stop(0.1)
        await asyncio.wait_for(running, 5)

    asyncio.run(story())


def test_a_child_that_ends_early_is_restarted_after_growing_pauses(tmp_path: Path) -> None:
    moments: list[float] = []

    async def story() -> None:
        loop = asyncio.get_running_loop()
        child = Child("brief", python("pass"), tmp_path / "log", on_start=lambda _: moments.append(loop.time()))
        running = asyncio.create_task(child.run())
        await until(lambda: len(moments) == 4)
        await child.stop(5)
        await running

    asyncio.run(story())
    gaps = [later - earlier for earlier, later in zip(moments, moments[1:], strict=False)]
    assert all(
        gap >= pause for gap, pause in zip(gaps, (FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S), strict=True)
    )


@pytest.mark.parametrize("lines", [1, 3])
def test_the_tail_of_the_log_is_its_last_lines(tmp_path: Path, lines: int) -> None:
    log = tmp_path / "log"
    log.write_text("one\ntwo\nthree\nfour\n")
    assert Child("x", ["true"], log).tail(lines) == "\n".join(["two", "three", "four"][-lines:])
