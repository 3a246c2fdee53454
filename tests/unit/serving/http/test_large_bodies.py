"""A legal body at the limits does not keep the event loop from other work for long, in any protocol."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
from collections.abc import Iterator

import pytest

from fairlead.serving.inference import heap
from fairlead.serving.settings import Settings
from support.legal_bodies import ANSWER, PREDICT, Case, Free, cases, longest_turn, served, wide
from support.small_models import Wire, ask, begin, running

CASES = {case.name: case for case in cases()}
BLOCKED_S = 0.05
"""The longest turn of the event loop, in processor time of the whole process. Before, it was up to 0.3 s."""


@pytest.fixture(scope="module", autouse=True)
def _as_in_the_service() -> Iterator[None]:
    """Without it the collector searches all objects of all tests, in the middle of a turn."""
    usual = gc.get_threshold()
    heap.freeze()
    yield
    gc.unfreeze()
    gc.set_threshold(*usual)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_legal_body_at_the_limits_leaves_the_event_loop_free(case: Case) -> None:
    assert asyncio.run(longest_turn(case)) < BLOCKED_S


def test_many_answers_to_a_small_body_are_the_same_on_both_paths() -> None:
    body = json.dumps([{"f00": 1}] * 1000).encode()

    async def check() -> None:
        async with running(served(wide(float, 1))) as app:
            wire = Wire()
            assert begin(app, PREDICT, body, {"x-request-id": "one"}, wire=wire)
            reply = await wire.reply()
            assert reply.status == 200
            assert json.loads(reply.body) == [ANSWER.model_dump()] * 1000
            assert reply == await ask(app, "POST", PREDICT, body, {"x-request-id": "one"})

    asyncio.run(check())


def test_many_answers_that_are_too_large_are_a_problem_on_the_fast_path_too() -> None:
    async def check() -> None:
        async with running(served(wide(float, 1)), Settings(max_answer_bytes=1024)) as app:
            wire = Wire()
            assert begin(app, PREDICT, json.dumps([{"f00": 1}] * 1000).encode(), wire=wire)
            assert (await wire.reply()).status == 422

    asyncio.run(check())


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["no mark", "a byte order mark"])
@pytest.mark.parametrize("coding", ["", "gzip"])
def test_a_large_body_may_be_compressed_and_marked(coding: str, mark: bytes) -> None:
    body = mark + json.dumps([{"values": [1.0] * 1000}] * 50).encode()
    sent, headers = (gzip.compress(body), {"content-encoding": coding}) if coding else (body, {})

    async def check() -> None:
        async with running(served(Free)) as app:
            reply = await ask(app, "POST", PREDICT, sent, headers)
            assert (reply.status, len(json.loads(reply.body))) == (200, 50)

    asyncio.run(check())


def test_the_bytes_of_all_large_bodies_that_wait_are_bounded() -> None:
    body = json.dumps([{"values": [1.0] * 1000}] * 100).encode()

    async def check() -> None:
        limits = Settings(max_body_bytes=len(body), queue_bytes=2 * len(body))
        async with running(served(Free), limits) as app:
            replies = await asyncio.gather(*(ask(app, "POST", PREDICT, body) for _ in range(5)))
            refused = [reply for reply in replies if reply.status == 429]
            assert [reply.status for reply in replies].count(200) == 2
            assert len(refused) == 3
            assert b"waiting to be decoded" in refused[0].body

    asyncio.run(check())
