"""The generator: as many as the rate says, whatever becomes of them, and never more than its bounds."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from fairlead.rehearsal.frames import RequestCounts
from fairlead.rehearsal.live import load_generator
from fairlead.rehearsal.live.load_generator import LoadGenerator
from support.loops import end_tasks

GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
BAD = b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n"
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def always(text: bytes) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(text)

    return answer


@contextlib.asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"POST /predict HTTP/1.1\r\n")
                await reader.readexactly(len(load_generator.BODY))
                await answer(writer)
        writer.transport.abort()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        await end_tasks()


def told(answer: Answer, *, rate: float = 200, seconds: float = 1.0, timeout_s: float = 5.0) -> RequestCounts:
    return timed(answer, rate=rate, seconds=seconds, timeout_s=timeout_s)[0]


def timed(
    answer: Answer, *, rate: float = 200, seconds: float = 1.0, timeout_s: float = 5.0, at_least: float = 0.0
) -> tuple[RequestCounts, float]:
    """And the seconds that it really took: a busy machine comes back late.

    Waits until it told of `at_least` requests a second: after a pause it catches up, one that is too slow never does.
    """

    async def run() -> tuple[RequestCounts, float]:
        async with server(answer) as port:
            asking = LoadGenerator(port, "/predict", rate=lambda: rate, rng=random.Random(1), timeout_s=timeout_s)
            clock = asyncio.get_running_loop().time
            began = clock()
            task = asyncio.create_task(asking.run())
            await asyncio.sleep(seconds)
            while asking.told.requests < at_least * (clock() - began):
                assert clock() - began < 30, asking.told
                await asyncio.sleep(0.02)
            seen = asking.told, clock() - began
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return seen

    return asyncio.run(run())


def test_it_sends_as_many_as_the_rate_says_over_kept_connections() -> None:
    found, took = timed(always(GOOD), at_least=120)
    assert found.requests <= 260 * took
    assert found.bad == 0


def test_what_is_not_200_is_bad() -> None:
    found = told(always(BAD))
    assert found.requests == found.bad > 0


@pytest.mark.parametrize("text", [b"HTTP/1.1 200 OK\r\n\r\n", b"nonsense\r\n\r\n"])
def test_what_is_no_whole_answer_is_bad(text: bytes) -> None:
    found = told(always(text))
    assert found.requests == found.bad > 0


def test_an_answer_that_does_not_come_is_bad_and_holds_nobody_up() -> None:
    async def silence(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    found = told(silence, timeout_s=0.3)
    assert found.requests == found.bad > 10, "one after the other would be four"


def test_no_rate_no_requests() -> None:
    assert told(always(GOOD), rate=0, seconds=0.3) == RequestCounts()


def test_more_than_may_be_under_way_are_not_sent_and_count_as_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_generator, "MOST_UNDER_WAY", 3)
    open_now: list[int] = [0]
    most = 0

    async def slowly(writer: asyncio.StreamWriter) -> None:
        nonlocal most
        open_now[0] += 1
        most = max(most, open_now[0])
        await asyncio.sleep(0.2)
        open_now[0] -= 1
        writer.write(GOOD)

    found = told(slowly)
    assert most == 3
    assert found.bad > found.requests / 2


def test_a_rate_above_the_bound_is_held_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_generator, "MOST_RATE", 50.0)
    found, took = timed(always(GOOD), rate=10_000)
    assert found.requests < 90 * took
