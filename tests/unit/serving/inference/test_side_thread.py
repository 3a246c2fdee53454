"""Jobs beside the event loop: their results, their errors, and what happens to those that nobody waits for."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from fairlead.errors import ModelFailed, Overloaded
from fairlead.serving.inference.side_thread import SideThread


def run(check: Callable[[SideThread], Awaitable[None]], limit: int = 100) -> None:
    async def inside() -> None:
        aside = SideThread(limit)
        try:
            await check(aside)
        finally:
            aside.close()

    asyncio.run(inside())


def test_a_job_runs_on_another_thread_and_its_result_comes_back() -> None:
    async def check(aside: SideThread) -> None:
        threads = [await aside.run(threading.get_ident) for _ in range(2)]
        assert threads[0] == threads[1] != threading.get_ident()

    run(check)


@pytest.mark.parametrize(("raised", "found"), [(ValueError("no"), ValueError), (SystemExit("no"), ModelFailed)])
def test_what_a_job_raises_is_raised_and_the_next_job_runs(raised: BaseException, found: type[Exception]) -> None:
    def fail() -> None:
        raise raised

    async def check(aside: SideThread) -> None:
        with pytest.raises(found, match="no"):
            await aside.run(fail)
        assert await aside.run(lambda: 1) == 1

    run(check)


def test_jobs_above_the_limit_are_refused_until_others_have_ended() -> None:
    go_on = threading.Event()

    async def check(aside: SideThread) -> None:
        first = asyncio.create_task(aside.run(go_on.wait, 60))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="60 bytes of large requests"):
            await aside.run(lambda: None, 50)
        go_on.set()
        assert await first
        assert await aside.run(lambda: 2, 100) == 2

    run(check)


def test_a_job_that_nobody_waits_for_any_more_ends_without_a_word() -> None:
    go_on = threading.Event()

    async def check(aside: SideThread) -> None:
        first = asyncio.create_task(aside.run(go_on.wait, 100))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        go_on.set()
        assert await aside.run(lambda: sys.getrefcount(first) > 0, 100)

    run(check)


def test_what_a_failed_job_held_is_freed_at_once() -> None:
    class Body:
        pass

    def fail(held: Body) -> None:
        raise ValueError("no")

    async def check(aside: SideThread) -> None:
        body = Body()
        freed = weakref.ref(body)
        with contextlib.suppress(ValueError):
            await aside.run(partial(fail, body))
        del body
        await aside.run(int)  # the thread has let go of the job before
        assert freed() is None

    gc.disable()  # a cycle would be kept until the next collection
    try:
        run(check)
    finally:
        gc.enable()
