"""A stand-in answers as its part says, from the next request on."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from fairlead.contracts.scenario import Behaviour, Latency
from fairlead.rehearsal.live.stub_version import GOLDEN, OFF_STAGE, Part, StandIn, write_part

FAST = Latency(median=0.0001, sigma=0)


@pytest.fixture
def part(tmp_path: Path) -> Path:
    path = tmp_path / "candidate.json"
    write_part(path, Behaviour(latency=FAST))
    return path


def ask(part: Path, path: str, body: object = None, *, times: int = 1, instance: int = 0) -> list[tuple[int, Any]]:
    stand_in = StandIn(Part(part), version="candidate", instance=instance, rng=random.Random(1))

    async def exchange() -> tuple[int, Any]:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await stand_in({"type": "http", "path": path}, receive, send)
        assert (b"x-model-version", b"candidate") in sent[0]["headers"]
        return sent[0]["status"], json.loads(sent[1]["body"])

    async def all_of_them() -> list[tuple[int, Any]]:
        return [await exchange() for _ in range(times)]

    return asyncio.run(all_of_them())


def test_it_fails_and_rejects_as_often_as_the_part_says(part: Path) -> None:
    write_part(part, Behaviour(errors=0.2, rejections=0.5, latency=FAST))
    statuses = [status for status, _ in ask(part, "/predict", {"row": 1}, times=1000)]
    assert 160 <= statuses.count(500) <= 240
    assert 340 <= statuses.count(422) <= 460
    assert set(statuses) == {200, 422, 500}


def test_it_takes_as_long_as_the_part_says(part: Path) -> None:
    write_part(part, Behaviour(latency=Latency(median=0.05, sigma=0)))

    async def timed() -> float:
        before = asyncio.get_running_loop().time()
        await asyncio.to_thread(ask, part, "/predict", {"row": 1})
        return asyncio.get_running_loop().time() - before

    assert asyncio.run(timed()) >= 0.05


def test_a_changed_part_holds_from_the_next_request_on(part: Path) -> None:
    known = Part(part)
    assert known.read().errors == 0
    write_part(part, Behaviour(errors=1))
    assert known.read().errors == 1


@pytest.mark.parametrize(("instances", "status"), [(2, 200), (1, 503)])
def test_an_instance_is_ready_where_the_part_has_as_many(part: Path, instances: int, status: int) -> None:
    write_part(part, Behaviour(instances=instances))
    ((found, told),) = ask(part, "/readyz", instance=1)
    assert (found, told) == (status, {"ready": True} if status == 200 else {"detail": OFF_STAGE})


@pytest.mark.parametrize("golden", [True, False])
def test_golden_rows_come_back_as_the_part_says_whatever_the_error_rate(part: Path, golden: bool) -> None:
    write_part(part, Behaviour(errors=1, golden=golden))
    ((_, rows),) = ask(part, "/golden")
    assert [row["input"] for row in rows["rows"]] == list(GOLDEN)
    for row in rows["rows"]:
        ((status, answer),) = ask(part, "/predict", row["input"])
        assert (status, answer == row["expected"]) == (200, golden)


def test_another_path_is_not_there(part: Path) -> None:
    assert ask(part, "/docs")[0][0] == 404
