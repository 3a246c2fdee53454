"""Defects that other model servers were measured to have, each as a test that this one must pass."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Coroutine, Sequence
from typing import Any

import orjson
import pytest

from fairlead.serving.inference.cache.keys import Keys
from fairlead.serving.settings import Settings
from support.small_models import Adder, Point, Served, Sum, ask, manifest, running

CACHED = Settings(cache_bytes=1024 * 1024)


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


def served(model: type[Adder] = Adder, **changes: Any) -> Served:
    return Served(model=model, manifest=manifest(**({"deterministic": True} | changes)))


def infer(x: float, **more: Any) -> bytes:
    return orjson.dumps({"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [x]}], **more})


def test_mlserver_a_second_model_is_never_given_the_cached_answer_of_the_first() -> None:
    class Doubler(Adder):
        def predict(self, rows: list[Point]) -> list[Sum]:
            return [Sum(total=2 * row.x, kind=row.kind) for row in rows]

    async def check() -> None:
        doubler = Served(model=Doubler, golden=(), manifest=manifest(name="doubler", deterministic=True))
        async with running(served(), CACHED) as one, running(doubler, CACHED) as other:
            for _ in range(2):
                first = json.loads((await ask(one, "POST", "/v2/models/adder/infer", infer(7))).body)
                second = json.loads((await ask(other, "POST", "/v2/models/doubler/infer", infer(7))).body)
            assert (first["model_name"], first["outputs"][0]["data"]) == ("adder", [8.0])
            assert (second["model_name"], second["outputs"][0]["data"]) == ("doubler", [14.0])

    run(check())


@pytest.mark.parametrize("header", ["x-request-id", "traceparent", "user-agent", "x-user"])
def test_mlserver_a_header_that_differs_does_not_defeat_the_cache(header: str) -> None:
    async def check() -> None:
        async with running(served(), CACHED) as app:
            replies = [await ask(app, "POST", "/predict", b'{"x": 7}', {header: f"value-{n}"}) for n in range(3)]
            assert [one.headers.get("fairlead-cache") for one in replies] == [None, "hit", "hit"]
            if header == "x-request-id":
                assert [one.headers[header] for one in replies] == ["value-0", "value-1", "value-2"]

    run(check())


def test_mlserver_the_id_of_a_request_does_not_defeat_the_cache_and_is_its_own_in_the_response() -> None:
    async def check() -> None:
        async with running(served(), CACHED) as app:
            for number in range(3):
                reply = await ask(app, "POST", "/v2/models/adder/infer", infer(7, id=f"request-{number}"))
                assert json.loads(reply.body)["id"] == f"request-{number}"
                assert reply.headers.get("fairlead-cache") == (None if number == 0 else "hit")

    run(check())


class Colliding(bytes):
    """A key whose hash is that of every other."""

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        return bytes.__eq__(self, other) is True


def test_triton_two_inputs_with_the_same_hash_get_their_own_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    of = Keys.of

    def colliding(self: Keys, rows: Sequence[Any]) -> bytes | None:
        return Colliding(of(self, rows) or b"")

    monkeypatch.setattr(Keys, "of", colliding)

    async def check() -> None:
        async with running(served(), CACHED) as app:
            for x in (1, 2, 3, 1, 2, 3):
                reply = await ask(app, "POST", "/predict", b'{"x": %d}' % x)
                assert json.loads(reply.body)["total"] == x + 1
            assert reply.headers["fairlead-cache"] == "hit"

    run(check())


@pytest.mark.parametrize(
    "body",
    [
        b'{"x": "a lot"}',
        b'{"x": true}',
        b'{"x": 1, "z": 2}',
        b'{"y": 1}',
        b'{"x": 1e9}',
        b'{"x": 1, "x": 2}',
        b"[]",
        b"[[1, 2, 3, 4, 5]]",
        b"nothing",
    ],
)
def test_kserve_and_bentoml_an_input_that_does_not_fit_the_schema_is_not_answered_200(body: bytes) -> None:
    async def check() -> None:
        async with running() as app:
            reply = await ask(app, "POST", "/predict", body)
            assert (reply.status, reply.headers["content-type"]) == (422, "application/problem+json")

    run(check())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict", b'{"x": 13}'),
        ("/predict", b'[{"x": 1}, {"x": 13}]'),
        ("/v1/models/adder:predict", b'{"instances": [{"x": 13}]}'),
        ("/v2/models/adder/infer", infer(13)),
    ],
)
@pytest.mark.parametrize("settings", [Settings(), CACHED], ids=["", "cached"])
def test_seldon_and_litserve_a_failing_model_is_not_answered_200(path: str, body: bytes, settings: Settings) -> None:
    async def check() -> None:
        async with running(served(), settings) as app:
            for _ in range(2):
                reply = await ask(app, "POST", path, body)
                assert (reply.status, b"a secret" in reply.body) == (500, False)
                assert "fairlead-cache" not in reply.headers

    run(check())


def test_kserve_and_mlserver_health_is_answered_while_predict_blocks_its_thread() -> None:
    release = threading.Event()

    class Blocked(Adder):
        def predict(self, rows: list[Point]) -> list[Sum]:
            if rows[0].x == 77:
                release.wait(10)
            return super().predict(rows)

    async def check() -> None:
        async with running(Served(model=Blocked)) as app:
            asked = [asyncio.create_task(ask(app, "POST", "/predict", b'{"x": 77}')) for _ in range(4)]
            while app.plane.queued_memory == 0:
                await asyncio.sleep(0)
            began = time.perf_counter()
            statuses = [(await ask(app, "GET", path)).status for path in ("/livez", "/readyz", "/metrics")]
            took = time.perf_counter() - began
            is_blocked = not any(one.done() for one in asked)
            release.set()
            assert (statuses, is_blocked, {(await one).status for one in asked}) == ([200] * 3, True, {200})
            assert took < 5  # far below the time for which the model would have blocked it

    run(check())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict", b'{"x": 14}'),
        ("/v1/models/adder:predict", b'{"instances": [{"x": 14}]}'),
        ("/v2/models/adder/infer", infer(14)),
    ],
)
@pytest.mark.parametrize("settings", [Settings(), CACHED], ids=["", "cached"])
def test_mlserver_and_bentoml_nan_is_never_sent_as_json_that_no_parser_reads(
    path: str, body: bytes, settings: Settings
) -> None:
    async def check() -> None:
        async with running(served(), settings) as app:
            for _ in range(2):
                reply = await ask(app, "POST", path, body)
                assert reply.status == 500
                assert orjson.loads(reply.body)["status"] == 500  # which takes no NaN

    run(check())
