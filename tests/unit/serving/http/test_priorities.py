"""The priority of a request, as a client asks for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import orjson

from support.small_models import Adder, Point, Served, Sum, ask, manifest, running

INFER = "/v2/models/adder/infer"


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


def body(x: float, **parameters: Any) -> bytes:
    tensor = {"name": "x", "shape": [1], "datatype": "FP64", "data": [x]}
    return orjson.dumps({"inputs": [tensor], "parameters": parameters})


def test_a_request_of_a_better_priority_overtakes_those_that_wait() -> None:
    release, order = threading.Event(), []

    class Slow(Adder):
        def predict(self, rows: list[Point]) -> list[Sum]:
            order.append(rows[0].x)
            if rows[0].x == 500:
                release.wait(10)
            return super().predict(rows)

    async def check() -> None:
        served = Served(model=Slow, manifest=manifest(batching={"max_rows": 1, "priorities": 2}))
        async with running(served) as app:
            first = asyncio.create_task(ask(app, "POST", "/predict", b'{"x": 500}'))
            while 500 not in order:
                await asyncio.sleep(0.001)
            asked = [("/predict", b'{"x": 501}'), (INFER, body(502, priority=2)), (INFER, body(503, priority=1))]
            others = []
            for path, content in asked:
                others.append(asyncio.create_task(ask(app, "POST", path, content)))
                await asyncio.sleep(0)
            while app.plane._batcher is None or app.plane._batcher.queued_rows < 3:
                await asyncio.sleep(0)
            release.set()
            assert {(await one).status for one in (first, *others)} == {200}
            assert order[-4:] == [500, 503, 501, 502]

    run(check())


def test_a_priority_that_there_is_not_is_422_and_without_priorities_the_parameter_means_nothing() -> None:
    async def check() -> None:
        async with running(Served(manifest=manifest(batching={"priorities": 2}))) as app:
            reply = await ask(app, "POST", INFER, body(1, priority=3))
            assert (reply.status, b"from 1, which is served first, to 2" in reply.body) == (422, True)
        async with running() as app:
            assert (await ask(app, "POST", INFER, body(1, priority=3))).status == 200

    run(check())
