"""Jobs beside the event loop: their results, their errors, and what happens to those that nobody waits for."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import weakref
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from fairlead.errors import DeadlineExceeded, ModelFailed, Overloaded
from fairlead.serving.inference.side_thread import SideThread


def run(check: Callable[[SideThread], Awaitable[None]], limit: int = 100, threads: int = 1) -> None:
    async def inside() -> None:
        aside = SideThread(limit, threads)
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


def test_bodies_above_the_limit_are_refused_until_others_are_decoded() -> None:
    go_on = threading.Event()

    async def check(aside: SideThread) -> None:
        first = aside.decode(lambda: (go_on.wait(), 0), 60)
        with pytest.raises(Overloaded, match="60 bytes of large requests"):
            aside.decode(lambda: (None, 0), 50)
        go_on.set()
        assert await first.result() == (True, 0)
        assert await aside.decode(lambda: (2, 0), 100).result() == (2, 0)

    run(check)


def test_as_many_bodies_are_decoded_at_once_as_there_are_threads() -> None:
    both, go_on = threading.Barrier(3), threading.Event()

    def decode() -> tuple[bool, int]:
        both.wait(timeout=10)
        return go_on.wait(timeout=10), 0

    async def check(aside: SideThread) -> None:
        jobs = [aside.decode(decode, 1) for _ in range(2)]
        third = aside.decode(lambda: (3, 0), 1)
        await asyncio.to_thread(both.wait, 10)  # both run
        assert not third.future.done()
        go_on.set()
        assert [await job.result() for job in jobs] == [(True, 0), (True, 0)]
        assert await third.result() == (3, 0)

    run(check, threads=2)


def test_a_body_is_decoded_once_the_rows_before_it_leave_room() -> None:
    async def check(aside: SideThread) -> None:
        assert await aside.decode(lambda: (1, 150), 1).result() == (1, 150)
        second, third = aside.decode(lambda: (2, 10), 1), aside.decode(lambda: (3, 10), 1)
        assert await aside.run(lambda: 4) == 4
        assert not second.future.done()
        assert aside.held == 150
        aside.release(150)
        assert await second.result() == (2, 10)
        assert await third.result() == (3, 10)
        assert aside.held == 20

    run(check)


def test_a_body_that_nobody_waits_for_any_more_is_not_decoded_and_waits_no_longer() -> None:
    decoded: list[int] = []

    def decode(body: int) -> tuple[None, int]:
        decoded.append(body)
        return None, 0

    async def check(aside: SideThread) -> None:
        await aside.decode(lambda: (1, 150), 1).result()
        left = aside.decode(partial(decode, 1), 100)
        left.future.cancel()
        await asyncio.sleep(0)
        after = aside.decode(partial(decode, 2), 100)
        aside.release(150)
        await after.result()
        assert decoded == [2]

    run(check)


def test_a_body_that_nobody_waits_for_any_more_while_it_is_decoded_holds_nothing() -> None:
    go_on = threading.Event()

    async def check(aside: SideThread) -> None:
        left = aside.decode(lambda: (go_on.wait(), 100), 100)
        left.future.cancel()
        go_on.set()
        assert await aside.run(lambda: 1) == 1
        assert aside.held == 0
        assert await aside.decode(lambda: (2, 0), 100).result() == (2, 0)

    run(check)


def test_a_body_that_waited_too_long_gets_the_problem() -> None:
    async def check(aside: SideThread) -> None:
        await aside.decode(lambda: (1, 150), 1).result()
        late = aside.decode(lambda: (2, 0), 1)
        late.fail(DeadlineExceeded("late"))
        with pytest.raises(DeadlineExceeded, match="late"):
            await late.result()

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
