from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import grpc
import pytest
from pydantic import BaseModel

import fairlead
from fairlead import errors
from fairlead.serving.http import listening
from fairlead.serving.settings import Settings
from support.grpc_client import connected, elements, infer, tensor
from support.small_models import Served, manifest, running

GRPC = Settings(grpc_port=0)


class Number(BaseModel):
    """A row and an answer."""

    x: float


class Waiting(fairlead.Model[Number, Number]):
    """Returns its rows when it may. `asked` has the rows of each call."""

    def __init__(self) -> None:
        self.asked: list[list[float]] = []
        self.may = threading.Event()

    def predict(self, rows: list[Number]) -> list[Number]:
        self.asked.append([row.x for row in rows])
        assert self.may.wait(10)
        return rows


def waiting() -> tuple[Waiting, Served]:
    model = Waiting()
    return model, Served(
        model=lambda: model,
        row=Number,
        answer_type=Number,
        golden=(),
        manifest=manifest(name="waiting", idempotent=False),
    )


def number(x: float) -> bytes:
    body: bytes = infer("waiting", tensor("x", "FP64", [1], [x])).SerializeToString()
    return body


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


def test_a_call_that_its_client_cancels_is_not_computed_if_it_still_waits() -> None:
    model, served = waiting()

    async def run() -> str:
        async with running(served, GRPC) as app, connected(app.grpc.port) as client:
            first = client.begin("ModelInfer", number(1))
            await until(lambda: model.asked)
            second = client.begin("ModelInfer", number(2))
            await until(lambda: app.grpc.in_flight == 2)
            await until(lambda: b"queue_rows" in app.metrics.text() and app.metrics.queue_rows.value() == 1)
            second.cancel()
            await until(lambda: app.grpc.in_flight == 1)
            model.may.set()
            await first
            return app.metrics.text().decode()

    text = asyncio.run(run())
    assert model.asked == [[1.0]]
    assert 'code="499",model="waiting",protocol="grpc",version="1.2.0"} 1.0' in text
    assert 'reason="disconnected",version="1.2.0"} 1.0' in text


def test_a_call_whose_deadline_passes_is_not_computed_and_counts_as_504() -> None:
    model, served = waiting()

    async def run() -> tuple[str, str]:
        async with running(served, GRPC) as app, connected(app.grpc.port) as client:
            first = client.begin("ModelInfer", number(1))
            await until(lambda: model.asked)
            failure = await client.send("ModelInfer", number(2), timeout=0.2)
            await until(lambda: app.grpc.in_flight == 1)
            model.may.set()
            await first
            assert not isinstance(failure, bytes)
            return failure.code, app.metrics.text().decode()

    code, text = asyncio.run(run())
    assert (code, model.asked) == ("DEADLINE_EXCEEDED", [[1.0]])
    assert 'code="504",model="waiting",protocol="grpc",version="1.2.0"} 1.0' in text


def test_a_full_queue_is_resource_exhausted_with_a_time_to_come_back() -> None:
    model, served = waiting()
    chosen = Settings(grpc_port=0, queue_rows=1, max_request_rows=1)

    async def run() -> Any:
        async with running(served, chosen) as app, connected(app.grpc.port) as client:
            first = client.begin("ModelInfer", number(1))
            await until(lambda: model.asked)
            second = client.begin("ModelInfer", number(2))
            await until(lambda: app.metrics.queue_rows.value() == 1)
            failure = await client.send("ModelInfer", number(3))
            model.may.set()
            await asyncio.gather(first, second)
            return failure

    failure = asyncio.run(run())
    assert (failure.code, failure.kind, failure.metadata["retry-after"]) == ("RESOURCE_EXHAUSTED", "overloaded", "1")


def test_liveness_readiness_and_health_answer_while_the_model_is_busy() -> None:
    model, served = waiting()

    async def run() -> list[Any]:
        async with running(served, GRPC) as app, connected(app.grpc.port) as client:
            first = client.begin("ModelInfer", number(1))
            await until(lambda: model.asked)
            found = [await client.ask("ServerLive"), await client.ask("ServerReady")]
            health = await client.channel.unary_unary("/grpc.health.v1.Health/Check")(b"")
            assert not first.done()
            model.may.set()
            await first
            return [*(one.ListFields()[0][1] for one in found), health]

    assert asyncio.run(run()) == [True, True, b"\x08\x01"]


def test_a_service_that_loads_or_drains_is_not_ready_and_answers_while_it_drains() -> None:
    async def run() -> tuple[Any, ...]:
        async with running(None, GRPC) as app, connected(app.grpc.port) as client:
            app.state.drain()
            ready = await client.ask("ServerReady")
            health = await client.channel.unary_unary("/grpc.health.v1.Health/Check")(b"")
            answer = await client.ask("ModelInfer", infer("adder", tensor("x", "FP64", [1], [1.0])))
            return ready.ready, health, elements(answer)["total"]

    assert asyncio.run(run()) == (False, b"\x08\x02", [2.0])


def test_a_watched_health_tells_each_change() -> None:
    async def run() -> list[bytes]:
        async with running(None, GRPC) as app, connected(app.grpc.port) as client:
            watch = client.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
            first = await watch.read()
            app.state.drain()
            found = [first, await watch.read()]
            watch.cancel()
            return found

    assert asyncio.run(run()) == [b"\x08\x01", b"\x08\x02"]


def test_the_health_of_an_unknown_service_is_not_found() -> None:
    async def run() -> Any:
        async with running(None, GRPC) as app, connected(app.grpc.port) as client:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await client.channel.unary_unary("/grpc.health.v1.Health/Check")(b"\x0a\x04rose")
            return raised.value.code()

    assert asyncio.run(run()) is grpc.StatusCode.NOT_FOUND


def test_calls_that_run_when_the_service_stops_get_their_answers() -> None:
    model, served = waiting()

    async def run() -> Any:
        async with running(served, GRPC) as app, connected(app.grpc.port) as client:
            first = client.begin("ModelInfer", number(1))
            await until(lambda: model.asked)
            app.grpc.begin_to_stop()
            threading.Timer(0.1, model.may.set).start()
            await app.grpc.stop()
            return await first

    assert b"waiting" in asyncio.run(run())


def test_messages_that_arrive_wait_for_room_and_are_not_refused() -> None:
    chosen = Settings(grpc_port=0, max_body_bytes=10_000, queue_bytes=10_000)

    async def run() -> list[bytes]:
        async with running(None, chosen) as app, connected(app.grpc.port) as client:
            body = infer("adder", tensor("x", "FP64", [1]), raw=[b"\0" * 8]).SerializeToString()
            return list(await asyncio.gather(*(client.begin("ModelInfer", body) for _ in range(20))))

    assert len(asyncio.run(run())) == 20


def test_a_client_that_sends_no_message_does_not_keep_others_out() -> None:
    chosen = Settings(grpc_port=0, max_body_bytes=1000, queue_bytes=1000, receive_s=1)

    async def run() -> tuple[Any, float]:
        async with running(None, chosen) as app, connected(app.grpc.port) as client:
            silent = client.channel.stream_unary("/inference.GRPCInferenceService/ModelInfer")()
            await until(lambda: app.grpc.in_flight == 1)
            began = time.monotonic()
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await silent
            took = time.monotonic() - began
            assert (await client.ask("ServerLive")).live
            return raised.value.code(), took

    code, took = asyncio.run(run())
    assert code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert took < 10


def test_reflection_lists_the_services_and_describes_their_messages() -> None:
    async def run() -> list[bytes]:
        method = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        async with running(None, GRPC) as app, connected(app.grpc.port) as client:
            call = client.channel.stream_stream(method)()
            await call.write(b"\x3a\x00")  # list_services
            listed = await call.read()
            await call.write(b"\x22\x1einference.GRPCInferenceService")  # file_containing_symbol
            described = await call.read()
            await call.done_writing()
            return [listed, described]

    listed, described = asyncio.run(run())
    assert b"inference.GRPCInferenceService" in listed
    assert b"grpc.health.v1.Health" in listed
    assert b"ModelInferRequest" in described


def test_without_the_setting_there_is_no_grpc() -> None:
    async def run() -> Any:
        async with running() as app:
            return app.grpc

    assert asyncio.run(run()) is None


def test_a_busy_port_is_an_error_that_names_the_flag() -> None:
    with listening.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]

        async def run() -> None:
            async with running(None, Settings(grpc_port=port)):
                pass

        with pytest.raises(errors.Conflict, match=f"port {port}: it is taken") as raised:
            asyncio.run(run())
    assert "--grpc-port" in str(raised.value.hint)
