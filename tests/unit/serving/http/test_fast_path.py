"""The fast path takes complete requests without special headers, and counts them like every other request."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fairlead.serving.app import App
from fairlead.serving.settings import Settings
from support.small_models import Adder, Point, Served, Sum, Wire, ask, begin, running

BODY = b'{"x": 1.0, "y": 2.0}'


def run(check: Callable[[App], Awaitable[None]], settings: Settings | None = None) -> None:
    async def inside() -> None:
        async with running(settings=settings) as app:
            await check(app)

    asyncio.run(inside())


def count(app: App, name: str, **labels: str) -> float:
    """The sum of the series with this name and these labels."""
    families = text_string_to_metric_families(app.metrics.text().decode())
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


def answered(app: App, code: int) -> float:
    """Predictions that ended with this status."""
    return count(app, "fairlead_model_requests_total", protocol="predict", code=str(code))


def test_a_200_is_sent_in_one_write_with_the_headers_of_every_response() -> None:
    async def check(app: App) -> None:
        wire = Wire()
        assert begin(app, "/predict", BODY, {"x-request-id": "one"}, wire=wire)
        reply = await wire.reply()
        assert wire.in_one_piece
        assert reply == await ask(app, "POST", "/predict", BODY, {"x-request-id": "one"})
        assert list(reply.headers.values()) == ["application/json", str(len(reply.body)), "adder", "1.2.0", "one"]

    run(check)


def test_if_the_connection_cannot_take_one_write_the_response_is_sent_as_asgi_messages() -> None:
    async def check(app: App) -> None:
        wire = Wire(takes_whole=False)
        assert begin(app, "/predict", BODY, {"x-request-id": "one"}, wire=wire)
        assert await wire.reply() == await ask(app, "POST", "/predict", BODY, {"x-request-id": "one"})

    run(check)


def test_a_service_that_begins_to_drain_meanwhile_sends_connection_close() -> None:
    async def check(app: App) -> None:
        wire = Wire()
        assert begin(app, "/predict", BODY, wire=wire)
        app.state.drain()
        reply = await wire.reply()
        assert (reply.status, reply.headers["connection"]) == (200, "close")

    run(check)


@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [
        ("GET", "/predict", {}, b""),
        ("POST", "/nowhere", {}, BODY),
        ("POST", "/predict", {"x-deadline-ms": "100"}, BODY),
        ("POST", "/predict", {}, b" " * 101),
    ],
    ids=["another method", "another path", "a deadline", "a large body"],
)
def test_requests_with_special_needs_are_left_to_the_asgi_path(
    method: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    async def check(app: App) -> None:
        assert begin(app, path, body, headers, method=method, wire=Wire()) is None
        assert count(app, "fairlead_model_requests_total") == 0

    run(check, Settings(max_body_bytes=100))


def test_while_draining_no_request_takes_the_fast_path() -> None:
    async def check(app: App) -> None:
        app.state.drain()
        assert begin(app, "/predict", BODY, wire=Wire()) is None

    run(check)


def test_requests_are_counted_by_their_status() -> None:
    async def check(app: App) -> None:
        for body in (BODY, BODY, b"{}", b'{"x": 13}'):
            wire = Wire()
            assert begin(app, "/predict", body, wire=wire)
            await wire.reply()
        assert [answered(app, code) for code in (200, 422, 500)] == [2, 1, 1]
        assert 'fairlead_model_in_flight_requests{model="adder",version="1.2.0"} 0.0' in app.metrics.text().decode()

    run(check)


def test_a_request_whose_client_has_disconnected_is_dropped_and_counted() -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Adder):
        def predict(self, rows: list[Point]) -> list[Sum]:
            if rows[0].x == 7:
                begun.set()
                assert go_on.wait(10)
            return super().predict(rows)

    async def check() -> None:
        async with running(Served(model=Slow)) as app:
            first, second = Wire(), Wire()
            assert begin(app, "/predict", b'{"x": 7}', wire=first)
            assert await asyncio.to_thread(begun.wait, 10)
            disconnect = begin(app, "/predict", BODY, wire=second)
            assert disconnect is not None
            disconnect()
            disconnect()  # a second call does nothing
            go_on.set()
            assert (await first.reply()).status == 200
            assert count(app, "fairlead_model_rejected_total", reason="disconnected") == 1
            assert answered(app, 499) == 1

    asyncio.run(check())
