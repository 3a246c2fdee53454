"""A client that takes too long to send a request loses its connection; nobody else does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

from fairlead.slow_clients import LimitedServer, SlowClients


@dataclass(eq=False)
class Cycle:
    """One request of a connection."""

    more_body: bool = False
    response_complete: bool = False


@dataclass(eq=False)
class Connection:
    """A connection in one of the states that uvicorn's protocols have. It is its own transport."""

    cycle: Cycle | None = None
    timeout_keep_alive_task: object | None = None
    closing: bool = False
    transport: Any = field(init=False)

    def __post_init__(self) -> None:
        self.transport = self

    def is_closing(self) -> bool:
        return self.closing


RECEIVING = {
    "nothing has come": lambda: Connection(),
    "a part of a body": lambda: Connection(Cycle(more_body=True)),
    "a part of the next head": lambda: Connection(Cycle(response_complete=True)),
    "an answer that nobody reads": lambda: Connection(Cycle(response_complete=True), object(), closing=True),
}
WAITING = {
    "the model computes": lambda: Connection(Cycle()),
    "it is idle": lambda: Connection(Cycle(response_complete=True), object()),
}


@pytest.mark.parametrize("make", RECEIVING.values(), ids=RECEIVING)
def test_a_connection_that_stays_in_one_request_for_the_limit_is_slow(make: Any) -> None:
    slow, connection = SlowClients(10), make()
    assert [slow.look([connection], now) for now in (5.0, 9.0, 14.9)] == [[], [], []]
    assert slow.look([connection], 15.0) == [connection]


@pytest.mark.parametrize("make", WAITING.values(), ids=WAITING)
def test_a_connection_whose_request_is_complete_is_never_slow(make: Any) -> None:
    slow, connection = SlowClients(10), make()
    assert [slow.look([connection], now) for now in (0.0, 100.0, 200.0)] == [[], [], []]


def test_a_connection_that_is_at_another_request_at_each_look_is_not_slow() -> None:
    slow, connection = SlowClients(10), Connection()
    for now in range(0, 100, 5):
        connection.cycle = Cycle(more_body=True)
        assert slow.look([connection], now) == []


def test_a_connection_that_was_idle_meanwhile_starts_again() -> None:
    slow, connection = SlowClients(10), Connection(Cycle(response_complete=True))
    assert slow.look([connection], 0) == []
    connection.timeout_keep_alive_task = object()
    assert slow.look([connection], 9) == []
    connection.timeout_keep_alive_task = None
    assert slow.look([connection], 12) == []


def test_connections_that_are_gone_are_forgotten() -> None:
    slow, connection = SlowClients(10), Connection()
    slow.look([connection], 0)
    slow.look([], 5)
    assert slow.look([connection], 12) == []


@pytest.mark.parametrize("http", ["h11", "httptools"])
@pytest.mark.parametrize("sent", [b"", b"POST / HT", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nx"])
def test_uvicorn_ends_the_connection_of_a_slow_client_and_answers_others(http: Any, sent: bytes) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def check() -> None:
        config = uvicorn.Config(app, port=0, http=http, lifespan="off", log_config=None)
        server = LimitedServer(config, receive_s=0.5)
        running = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        honest_reader, honest = await asyncio.open_connection("127.0.0.1", port)
        honest.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert (await honest_reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 30)
        honest.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert (await honest_reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        for one in (writer, honest):
            one.close()
        server.should_exit = True
        await running

    asyncio.run(check())
