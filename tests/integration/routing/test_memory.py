"""A real gateway under clients that fill its memory: it stays inside its limit, and answers other clients meanwhile."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from fairlead.contracts.table import Table
from fairlead.routing.envoy.local_replies import SHORT_OF_MEMORY
from fairlead.routing.envoy.overload import MEMORY_BYTES
from fairlead.routing.snapshot import Routed
from integration.routing.attacks import PATH, Streams, upload
from integration.routing.backends import Backends
from integration.routing.edge import V1, Edge, an_edge, serving
from support.processes import memory_mib

LIMIT_MIB = MEMORY_BYTES >> 20
BODY_BYTES = 4 << 20
"""The largest body that the gateway takes."""
ATTACK_S = 6.0


@contextmanager
def a_gateway(folder: Path, backends: Backends, **settings: float) -> Iterator[tuple[Edge, int]]:
    """A gateway with one model, and its process id."""
    with an_edge(folder, names=None, **settings) as edge:
        edge.endpoints["default", "iris", V1] = [backends.start(V1.version).endpoint]
        table = Table.model_validate({"model": "iris", "stable": V1, "pins": (V1,)})
        with serving(edge, Routed("iris", 1, table)) as envoy:
            yield edge, envoy.process.pid


class Honest(threading.Thread):
    """A client that sends one short request after the other. `answers` has how many answers had which status."""

    def __init__(self, edge: Edge) -> None:
        super().__init__(name="honest")
        self.answers: Counter[int] = Counter()
        self.refusals: list[httpx.Response] = []
        self._edge, self._ended = edge, threading.Event()

    def run(self) -> None:
        with self._edge.client() as client:
            while not self._ended.is_set():
                answer = client.post(PATH, json={"sepal_length": 5.1})
                self.answers[answer.status_code] += 1
                if answer.status_code != 200:
                    self.refusals.append(answer)
                self._ended.wait(0.005)

    def __enter__(self) -> Honest:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    @property
    def answered(self) -> float:
        """The share of requests that the model answered."""
        return self.answers[200] / self.answers.total()


def attack(*clients: Coroutine[Any, Any, Any], seconds: float = ATTACK_S) -> list[Any]:
    """Run all clients at once, for this time at most. Returns the results of those that ended."""

    async def run() -> list[Any]:
        ended, others = await asyncio.wait([asyncio.create_task(one) for one in clients], timeout=seconds)
        for one in others:
            one.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        return [one.result() for one in ended]

    return asyncio.run(run())


async def again_and_again(port: int) -> list[int | None]:
    """Upload until ended by the gateway, three times."""
    return [await upload(port, BODY_BYTES) for _ in range(3)]


def test_uploads_over_http_1_do_not_fill_the_memory(tmp_path: Path, backends: Backends) -> None:
    with a_gateway(tmp_path, backends) as (edge, pid), Honest(edge) as honest:
        ended = attack(*(again_and_again(edge.settings.port) for _ in range(150)))
        _, peak = memory_mib(pid)
    assert peak < 0.85 * LIMIT_MIB
    assert {status for statuses in ended for status in statuses} <= {503, None}
    assert honest.answered > 0.75
    for refusal in honest.refusals:
        assert (refusal.status_code, refusal.headers["retry-after"]) == (503, "1")
        assert refusal.json()["detail"] == SHORT_OF_MEMORY


def test_uploads_over_http_2_do_not_fill_the_memory_and_others_are_answered(tmp_path: Path, backends: Backends) -> None:
    with a_gateway(tmp_path, backends) as (edge, pid), Honest(edge) as honest:
        attack(*(Streams(80, BODY_BYTES).run(edge.settings.port) for _ in range(2)))
        _, peak = memory_mib(pid)
    assert peak < 0.85 * LIMIT_MIB
    assert set(honest.answers) == {200}


def test_one_connection_of_http_2_has_a_hundred_requests_at_most(tmp_path: Path, backends: Backends) -> None:
    with a_gateway(tmp_path, backends) as (edge, _):
        streams = Streams(160, 1000)
        attack(streams.run(edge.settings.port), seconds=1)
    assert streams.ended == {"reset": 60}


def test_the_memory_is_free_again_after_the_attack(tmp_path: Path, backends: Backends) -> None:
    with a_gateway(tmp_path, backends) as (edge, _):
        attack(*(upload(edge.settings.port, BODY_BYTES) for _ in range(80)), seconds=3)
        with Honest(edge) as honest:
            time.sleep(1)
    assert set(honest.answers) == {200}


def test_a_body_that_never_ends_is_ended_by_the_gateway(tmp_path: Path, backends: Backends) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n"
    with (
        a_gateway(tmp_path, backends, receive_timeout_s=1.0) as (edge, _),
        socket.create_connection(("127.0.0.1", edge.settings.port), timeout=0.2) as client,
    ):
        client.sendall(head.encode())
        begin = time.monotonic()
        answer = b""
        while not answer and time.monotonic() - begin < 5:
            client.sendall(b"1")
            try:
                answer = client.recv(1000)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - begin < 3
