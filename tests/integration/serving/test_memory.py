"""Rows that wait for a slow model stay inside the memory limit of the chart, whatever their JSON becomes in memory."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import orjson
import pytest

from support import folders
from support.processes import wait_until
from support.service import Service, request

MEMORY_MIB = 512
"""The limit of the chart."""
MANY = 5
"""So many requests are answered at least."""
CODE = """
import time
from pydantic import BaseModel
import fairlead

class Item(BaseModel):
    a: float = 0
    b: float = 0

class Basket(BaseModel):
    items: list[Item] = []
    values: list[float] = []
    seconds: float = 0
    letters: int = 0

class Size(BaseModel):
    count: int
    text: str = ""

class Slow(fairlead.Model[Basket, Size]):
    def load(self, artifact):
        pass

    def predict(self, rows):
        time.sleep(max(row.seconds for row in rows))
        return [Size(count=len(row.items) + len(row.values), text="a" * row.letters) for row in rows]
"""


LETTERS, UNREAD = 8_000_000, 60
"""Answers that nobody reads, and how long they are."""
BUSY_S = 3
"""How long the model is busy with one row while the others arrive."""


class Load(NamedTuple):
    """Requests that arrive at the same time, and the statuses that their answers may have."""

    name: str
    body: bytes
    requests: int
    statuses: frozenset[int]


LOADS = (
    Load("large bodies of objects", orjson.dumps({"items": [{}] * 59_000}), 40, frozenset({200})),
    Load("large bodies of numbers", orjson.dumps({"values": [0.5] * 290_000}), 50, frozenset({200})),
    Load("small bodies of objects", orjson.dumps({"items": [{}] * 10_000}), 300, frozenset({200, 429})),
)


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Service]:
    golden = [{"input": {"values": [0.5] * n}, "expected": {"count": n, "text": ""}} for n in range(3)]
    folder = folders.make(tmp_path / "slow", code=CODE, golden=golden, name="slow", entry="model:Slow")
    env = {"FAIRLEAD_SERVING_MAX_ROW_KEYS": "300000"}
    with Service(folder, log=tmp_path / "log", flags=["--drain-s", "0"], env=env) as service:
        yield service


@pytest.mark.parametrize("load", LOADS, ids=[load.name for load in LOADS])
def test_requests_that_wait_for_a_slow_model_stay_inside_the_memory_limit(slow: Service, load: Load) -> None:
    with ThreadPoolExecutor(load.requests + 1) as clients:
        busy = clients.submit(slow.predict, {"seconds": BUSY_S})
        wait_until(lambda: slow.metric("fairlead_model_in_flight_requests") == 1, "the model is busy")
        replies = list(clients.map(lambda _: slow.ask("POST", "/predict", load.body), range(load.requests)))
        assert busy.result().status == 200
    statuses = Counter(reply.status for reply in replies)
    assert set(statuses) <= load.statuses
    assert statuses[200] >= MANY
    peak = peak_mib(slow)
    assert peak < MEMORY_MIB


def test_answers_that_nobody_reads_stay_inside_the_memory_limit(slow: Service) -> None:
    asked = request("POST", "/predict", orjson.dumps({"letters": LETTERS}))
    with contextlib.ExitStack() as stack:
        for _ in range(UNREAD):
            connection = stack.enter_context(slow.connect())
            connection.sendall(asked)
            assert connection.recv(1)  # the answer is made, and the next one is not in the same call of the model
        assert len(slow.predict({"letters": LETTERS}).json()["text"]) == LETTERS
    assert peak_mib(slow) < MEMORY_MIB


def peak_mib(service: Service) -> int:
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) // 1024
