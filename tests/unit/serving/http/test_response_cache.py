"""The response cache, as a client sees it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

import orjson
import pytest

from fairlead.contracts.answers import KEEP_HEADER
from fairlead.serving.app import App
from fairlead.serving.settings import Settings
from support import profiles
from support.small_models import Adder, Point, Served, Sum, ask, ask_fast_path, manifest, running

MIB = 1024 * 1024
CACHED = Settings(cache_bytes=MIB)
V2 = "/v2/models/adder/infer"


class Counted(Adder):
    """Counts the rows that it was asked after the golden ones."""

    asked = 0

    def predict(self, rows: list[Point]) -> list[Sum]:
        type(self).asked += len(rows)
        return super().predict(rows)


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


def served(model: type[Adder] = Counted, **changes: Any) -> Served:
    return Served(model=model, manifest=manifest(**({"deterministic": True} | changes)))


def metric(app: App, line: str) -> float:
    found = [text for text in app.metrics.text().decode().splitlines() if text.startswith(line)]
    return float(found[0].rpartition(" ")[2])


def decided(app: App) -> str:
    (line,) = [
        one for one in app.metrics.text().decode().splitlines() if one.startswith("fairlead_model_cache_enabled")
    ]
    return line.split('reason="')[1].split('"')[0] + line[-4:]


def tensors(x: float, **more: Any) -> bytes:
    return orjson.dumps({"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [x]}], **more})


def test_a_hit_is_the_same_answer_with_a_header_that_says_so_on_every_path_and_protocol() -> None:
    async def check() -> None:
        async with running(served(), CACHED) as app:
            bodies = {"/predict": b'{"x": 4}', "/v1/models/adder:predict": b'{"instances": [{"x": 4}]}', V2: tensors(4)}
            first = await ask(app, "POST", "/predict", bodies["/predict"])
            before = Counted.asked
            for path, body in bodies.items():
                for send in (ask_fast_path(app, path, body), ask(app, "POST", path, body)):
                    reply = await send
                    assert (reply.status, reply.headers["fairlead-cache"]) == (200, "hit"), path
                    assert b"5.0" in reply.body
            again = await ask_fast_path(app, "/predict", bodies["/predict"])
            assert (again.body, "fairlead-cache" in first.headers) == (first.body, False)
            assert Counted.asked == before

    run(check())


def test_what_a_request_asks_beside_its_rows_is_done_to_the_answers_of_a_hit() -> None:
    async def check() -> None:
        async with running(served(), CACHED) as app:
            await ask(app, "POST", V2, tensors(4, id="one"))
            reply = await ask(app, "POST", V2, tensors(4, id="two", outputs=[{"name": "kind"}]))
            document = json.loads(reply.body)
            assert reply.headers["fairlead-cache"] == "hit"
            assert (document["id"], [one["name"] for one in document["outputs"]]) == ("two", ["kind"])

    run(check())


def test_without_the_setting_nothing_is_kept() -> None:
    async def check() -> None:
        async with running(served()) as app:
            for _ in range(2):
                assert "fairlead-cache" not in (await ask(app, "POST", "/predict", b'{"x": 4}')).headers
            assert (decided(app), app.plane.keys) == ("off 0.0", None)

    run(check())


def test_a_model_whose_manifest_does_not_say_that_it_is_deterministic_has_no_cache(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def check() -> None:
        async with running(served(deterministic=False), CACHED) as app:
            assert decided(app) == "manifest 0.0"

    run(check())
    assert "the response cache is off" in caplog.text


def test_a_model_that_answers_a_golden_row_differently_when_asked_again_has_no_cache(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Forgetful(Adder):
        """Answers right until it was asked often: what it was asked first is compared with the golden rows."""

        calls = 0

        def predict(self, rows: list[Point]) -> list[Sum]:
            type(self).calls += 1
            return [Sum(total=one.total + (self.calls > 3), kind=one.kind) for one in super().predict(rows)]

    async def check() -> None:
        async with running(served(Forgetful, batching={"max_rows": 1}), CACHED) as app:
            assert decided(app) == "differs 0.0"
            for _ in range(2):
                assert "fairlead-cache" not in (await ask(app, "POST", "/predict", b'{"x": 4}')).headers

    run(check())
    (line,) = [line for line in caplog.records if line.message == "the response cache is off"]
    assert line.__dict__["detail"].startswith("golden row 1 gets another answer when it is asked again: ")


def test_a_request_that_is_compared_reaches_the_model() -> None:
    async def check() -> None:
        async with running(served(), CACHED) as app:
            await ask(app, "POST", "/predict", b'{"x": 4}')
            before = Counted.asked
            for send in (
                ask(app, "POST", "/predict", b'{"x": 4}', {KEEP_HEADER: "count"}),
                ask_fast_path(app, "/predict", b'{"x": 4}', {KEEP_HEADER: "record"}),
            ):
                assert "fairlead-cache" not in (await send).headers
            assert Counted.asked - before == 2

    run(check())


def test_a_large_body_is_a_hit_when_it_comes_again() -> None:
    body = orjson.dumps([{"x": 100 + n / 8, "y": n / 3} for n in range(250)]) + b" " * 200_000

    async def check() -> None:
        async with running(served(), CACHED) as app:
            first, again = [await ask(app, "POST", "/predict", body) for _ in range(2)]
            assert (first.status, again.body, again.headers["fairlead-cache"]) == (200, first.body, "hit")

    run(check())


def test_metrics_say_how_often_the_cache_answered_and_how_large_it_is() -> None:
    async def check() -> None:
        async with running(served(), CACHED) as app:
            for _ in range(3):
                await ask(app, "POST", "/predict", b'{"x": 4}')
            assert decided(app) == "repeats 1.0"
            asked = 'fairlead_model_cache_requests_total{model="adder",outcome="%s"'
            assert [metric(app, asked % one) for one in ("hit", "shared", "miss")] == [2, 0, 1]
            assert 500 < metric(app, "fairlead_model_cache_bytes") < 2000
            assert metric(app, 'fairlead_model_rows_total{model="adder",outcome="answered"') == 3

    run(check())


def test_hits_are_counted_for_drift_as_any_others() -> None:
    profiled = Served(manifest=manifest(deterministic=True), profile=profiles.of_points())

    async def check() -> None:
        async with running(profiled, CACHED) as app:
            for _ in range(3):
                await ask(app, "POST", "/predict", b'{"x": 4}')
            text = (await ask(app, "GET", "/metrics/drift")).body.decode()
            (line,) = [one for one in text.splitlines() if one.startswith("fairlead_model_drift_rows_total{")]
            assert line.endswith(" 3")

    run(check())
