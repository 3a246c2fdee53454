"""The load generator: it sends at the given rate, whatever the responses, and within its bounds."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from fairlead.rehearsal.frames import RequestCounts
from fairlead.rehearsal.live import load_generator
from fairlead.rehearsal.live.load_generator import LoadGenerator
from support.event_loop_thread import end_tasks

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


def counts_of(answer: Answer, *, rate: float = 200, seconds: float = 1.0, timeout_s: float = 5.0) -> RequestCounts:
    return timed(answer, rate=rate, seconds=seconds, timeout_s=timeout_s)[0]


def timed(
    answer: Answer, *, rate: float = 200, seconds: float = 1.0, timeout_s: float = 5.0, at_least: float = 0.0
) -> tuple[RequestCounts, float]:
    """The counts, and the seconds that the run took: on a busy machine it takes longer.

    Waits until there were `at_least` requests a second: after a pause it catches up, one that is too slow never does.
    """

    async def run() -> tuple[RequestCounts, float]:
        async with server(answer) as port:
            generator = LoadGenerator(port, "/predict", rate=lambda: rate, rng=random.Random(1), timeout_s=timeout_s)
            clock = asyncio.get_running_loop().time
            began = clock()
            task = asyncio.create_task(generator.run())
            await asyncio.sleep(seconds)
            while generator.counts.requests < at_least * (clock() - began):
                assert clock() - began < 30, generator.counts
                await asyncio.sleep(0.02)
            seen = generator.counts, clock() - began
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return seen

    return asyncio.run(run())


def test_it_sends_at_the_rate_over_reused_connections() -> None:
    found, took = timed(always(GOOD), at_least=120)
    assert found.requests <= 260 * took
    assert found.bad == 0


def test_a_status_other_than_200_is_bad() -> None:
    found = counts_of(always(BAD))
    assert found.requests == found.bad > 0


@pytest.mark.parametrize("text", [b"HTTP/1.1 200 OK\r\n\r\n", b"nonsense\r\n\r\n"])
def test_an_invalid_response_is_bad(text: bytes) -> None:
    found = counts_of(always(text))
    assert found.requests == found.bad > 0


def test_a_timeout_is_bad_and_does_not_delay_other_requests() -> None:
    async def silence(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    found = counts_of(silence, timeout_s=0.3)
    assert found.requests == found.bad > 10, "one after the other would be four"


def test_without_a_rate_nothing_is_sent() -> None:
    assert counts_of(always(GOOD), rate=0, seconds=0.3) == RequestCounts()


def test_requests_above_the_limit_in_flight_are_not_sent_and_count_as_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_generator, "MAX_IN_FLIGHT", 3)
    open_now: list[int] = [0]
    most = 0

    async def slowly(writer: asyncio.StreamWriter) -> None:
        nonlocal most
        open_now[0] += 1
        most = max(most, open_now[0])
        await asyncio.sleep(0.2)
        open_now[0] -= 1
        writer.write(GOOD)

    found = counts_of(slowly)
    assert most == 3
    assert found.bad > found.requests / 2


def test_a_rate_above_the_limit_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_generator, "MAX_RATE", 50.0)
    found, took = timed(always(GOOD), rate=10_000)
    assert found.requests < 90 * took
