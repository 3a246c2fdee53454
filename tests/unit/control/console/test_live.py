"""What open pages are sent: parts are made once for all of them, only when something changed, and not too often."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.control.console import live
from fairlead.control.console.live import ALIVE, INTERVAL_S, MAX_PAGES, MAX_PART, RETRY, Live, pause_s

LOG = logging.getLogger("test")


class Source:
    """The parts, and how often they were made."""

    def __init__(self) -> None:
        self.token, self.made, self.html = 0, 0, {"now": "1", "timeline": "a"}
        self.asked = 0
        self.error: Exception | None = None

    def parts(self, topic: str) -> dict[str, str]:
        self.made += 1
        if self.error is not None:
            raise self.error
        return {**self.html, "topic": topic}

    def change(self, **html: str) -> None:
        self.token += 1
        self.html |= html

    def change_token(self) -> object:
        self.asked += 1
        return self.token

    def live(self) -> Live[str]:
        return Live(self.parts, self.change_token, log=LOG, interval_s=0.001)


def run(story: Callable[[Source, Live[str]], Awaitable[None]]) -> Source:
    async def told() -> Source:
        source = Source()
        async with asyncio.timeout(20):
            await story(source, source.live())
        return source

    return asyncio.run(told())


async def received(stream: AsyncGenerator[bytes, None]) -> dict[str, str]:
    """The parts of the next event."""
    found = {}
    for line in (await anext(stream)).decode().split("\n"):
        if line.startswith("data: "):
            part = json.loads(line.removeprefix("data: "))
            found[part["part"]] = part["html"]
    return found


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds; the story has a time limit."""
    while not holds():
        await asyncio.sleep(0.001)


async def all_of(stream: AsyncGenerator[bytes, None]) -> list[bytes]:
    """Everything until the stream ends."""
    return [event async for event in stream]


def test_a_page_gets_all_parts_first_and_then_those_that_changed() -> None:
    async def story(source: Source, live: Live[str]) -> None:
        async with aclosing(live.follow("iris")) as page:
            assert await anext(page) == RETRY
            assert await received(page) == {"now": "1", "timeline": "a", "topic": "iris"}
            source.change(now="2")
            assert await received(page) == {"now": "2"}

    run(story)


def test_fifty_pages_share_what_is_made() -> None:
    async def story(source: Source, live: Live[str]) -> None:
        pages = [live.follow("iris") for _ in range(50)]
        for page in pages:
            await anext(page)
        assert [await received(page) for page in pages] == [{"now": "1", "timeline": "a", "topic": "iris"}] * 50
        source.change(now="2")
        assert [await received(page) for page in pages] == [{"now": "2"}] * 50
        assert source.made <= 3
        for page in pages:
            await page.aclose()

    run(story)


def test_nothing_is_made_while_nothing_changes() -> None:
    async def story(source: Source, live: Live[str]) -> None:
        async with aclosing(live.follow("iris")) as page:
            await anext(page)
            await received(page)
            made, asked = source.made, source.asked
            await until(lambda: source.asked > asked + 5)
            assert source.made == made

    run(story)


def test_nothing_runs_while_no_page_is_open() -> None:
    async def story(source: Source, live: Live[str]) -> None:
        async with aclosing(live.follow("iris")) as page:
            await anext(page)
            await received(page)
        await until(lambda: len(asyncio.all_tasks()) == 1)
        assert live.pages == 0

    run(story)


def test_a_page_that_reads_slowly_gets_the_newest_state_and_not_every_one() -> None:
    async def story(source: Source, live: Live[str]) -> None:
        async with aclosing(live.follow("iris")) as slow, aclosing(live.follow("iris")) as quick:
            for page in (slow, quick):
                await anext(page)
                await received(page)
            for number in ("2", "3", "4"):
                source.change(now=number)
                assert await received(quick) == {"now": number}
            assert await received(slow) == {"now": "4"}

    run(story)


def test_a_page_of_another_route_is_made_although_nothing_has_changed() -> None:
    async def story(source: Source, live: Live[str]) -> None:
        async with aclosing(live.follow("iris")) as one, aclosing(live.follow("rose")) as other:
            await anext(one)
            await received(one)
            await anext(other)
            assert (await received(other))["topic"] == "rose"

    run(story)


@pytest.mark.parametrize("error", [errors.Unavailable("the disk is full"), ValueError("a bug")])
def test_an_error_leaves_the_pages_as_they_are_and_is_logged_once(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(source: Source, live: Live[str]) -> None:
        async with aclosing(live.follow("iris")) as page:
            await anext(page)
            await received(page)
            source.error = error
            source.change(now="2")
            made = source.made
            await until(lambda: source.made > made + 2)
            source.error = None
            assert await received(page) == {"now": "2"}

    run(story)
    assert len(caplog.records) == 1


def test_a_route_that_has_gone_ends_no_other_page() -> None:
    async def story(source: Source, live: Live[str]) -> None:
        def parts(topic: str) -> dict[str, str]:
            if topic == "gone":
                raise errors.NotFound("gone")
            return {"now": topic}

        live = Live(parts, lambda: source.token, log=LOG, interval_s=0.001)
        async with aclosing(live.follow("gone")) as gone, aclosing(live.follow("iris")) as page:
            await anext(gone)
            await anext(page)
            assert await received(page) == {"now": "iris"}

    run(story)


def test_closing_ends_every_stream() -> None:
    async def story(source: Source, live: Live[str]) -> None:
        page = live.follow("iris")
        await anext(page)
        await received(page)
        rest = asyncio.create_task(all_of(page))
        await asyncio.sleep(0)
        live.close()
        assert await rest == []

    run(story)


def test_a_silent_stream_shows_that_it_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "ALIVE_S", 0.01)

    async def story(source: Source, live: Live[str]) -> None:
        async with aclosing(live.follow("iris")) as page:
            await anext(page)
            while await anext(page) == ALIVE:
                pass  # making the parts may take longer than the silence does on a busy machine
            assert await anext(page) == ALIVE

    run(story)


def test_no_more_than_so_many_pages_are_sent_changes() -> None:
    async def story(source: Source, live: Live[str]) -> None:
        pages = [live.follow("iris") for _ in range(MAX_PAGES)]
        for page in pages:
            await anext(page)
        was_full = live.is_full
        await pages.pop().aclose()
        assert (was_full, live.is_full) == (True, False)
        for page in pages:
            await page.aclose()

    run(story)


@given(st.floats(0, 3600))
def test_making_parts_takes_a_bounded_part_of_a_core_whatever_it_takes(spent_s: float) -> None:
    pause = pause_s(spent_s)
    assert pause >= INTERVAL_S
    assert spent_s <= MAX_PART * (spent_s + pause) * 1.000001
