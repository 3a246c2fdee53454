"""A machine that opens calls and does not send their messages takes its own share, and never the places of others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import grpc
import pytest

from fairlead.serving.grpc.definitions import SERVICE
from fairlead.serving.settings import Settings
from support.grpc_client import Failure, connected, infer, tensor
from support.small_models import running

CHOSEN = Settings(grpc_port=0, max_body_bytes=1 << 20, queue_bytes=8 << 20)
"""128 calls at the same time, and 8 messages that arrive."""
CALLS = 128
CONNECTIONS = 3
METHODS = {"a prediction": f"/{SERVICE}/ModelInfer", "a health check": "/grpc.health.v1.Health/Check"}
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
POINT = infer("adder", tensor("x", "FP64", [1], [1.0])).SerializeToString()


@asynccontextmanager
async def from_another_address(port: int) -> AsyncIterator[int]:
    """A port that leads to that one, whose connections come from 127.0.0.2."""

    async def lead(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while part := await source.read(65536):
            sink.write(part)
            await sink.drain()
        sink.close()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_there = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
        await asyncio.gather(lead(reader, to_there), lead(there, writer))

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def answered_beside(method: str, *, streams: bool = False) -> tuple[bytes | Failure, int]:
    """The answer to another address while one has opened more calls than there are; and how many of those ended."""
    async with running(None, CHOSEN) as app, from_another_address(app.grpc.port) as port, AsyncExitStack() as slow:
        waiting = []
        for number in range(CONNECTIONS):
            options = [("grpc.use_local_subchannel_pool", 1), ("number", number)]
            channel = await slow.enter_async_context(
                grpc.aio.insecure_channel(f"127.0.0.1:{app.grpc.port}", options=options)
            )
            await channel.channel_ready()
            kind = channel.stream_stream if streams else channel.stream_unary
            waiting += [kind(method)() for _ in range(CALLS // 2)]
        async with connected(port) as other:
            await settled(waiting)
            found = await other.send("ModelInfer", POINT, timeout=5)
        ended = sum(one.done() for one in waiting)
        for one in waiting:
            one.cancel()
        return found, ended


async def settled(slow: list[grpc.aio.Call]) -> None:
    """Return when as many calls wait as may, or after two seconds: then none of them was refused."""
    with suppress(TimeoutError):
        async with asyncio.timeout(2):
            while sum(one.done() for one in slow) < len(slow) - CALLS // 2:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_another_machine_is_answered_while_one_has_opened_every_call_it_may(method: str) -> None:
    found, ended = asyncio.run(answered_beside(method))
    assert isinstance(found, bytes), found
    assert ended == CONNECTIONS * CALLS // 2 - CALLS // 2


def test_so_it_is_while_one_asks_for_descriptions_and_says_nothing_more() -> None:
    found, ended = asyncio.run(answered_beside(REFLECTION, streams=True))
    assert isinstance(found, bytes), found
    assert ended == CONNECTIONS * CALLS // 2 - CALLS // 2
