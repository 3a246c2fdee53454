"""A stub version responds as its behaviour file says, from the next request on."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from fairlead.contracts.scenario import Behaviour, Latency
from fairlead.rehearsal.live.stub_version import GOLDEN, NOT_READY, BehaviourFile, StubVersion, write_behaviour

FAST = Latency(median=0.0001, sigma=0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "candidate.json"
    write_behaviour(path, Behaviour(latency=FAST))
    return path


def ask(file: Path, path: str, body: object = None, *, times: int = 1, instance: int = 0) -> list[tuple[int, Any]]:
    stub = StubVersion(BehaviourFile(file), version="candidate", instance=instance, rng=random.Random(1))

    async def exchange() -> tuple[int, Any]:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await stub({"type": "http", "path": path}, receive, send)
        assert (b"x-model-version", b"candidate") in sent[0]["headers"]
        return sent[0]["status"], json.loads(sent[1]["body"])

    async def all_of_them() -> list[tuple[int, Any]]:
        return [await exchange() for _ in range(times)]

    return asyncio.run(all_of_them())


def test_it_fails_and_rejects_as_often_as_the_file_says(file: Path) -> None:
    write_behaviour(file, Behaviour(errors=0.2, rejections=0.5, latency=FAST))
    statuses = [status for status, _ in ask(file, "/predict", {"row": 1}, times=1000)]
    assert 160 <= statuses.count(500) <= 240
    assert 340 <= statuses.count(422) <= 460
    assert set(statuses) == {200, 422, 500}


def test_it_takes_as_long_as_the_file_says(file: Path) -> None:
    write_behaviour(file, Behaviour(latency=Latency(median=0.05, sigma=0)))

    async def timed() -> float:
        before = asyncio.get_running_loop().time()
        await asyncio.to_thread(ask, file, "/predict", {"row": 1})
        return asyncio.get_running_loop().time() - before

    assert asyncio.run(timed()) >= 0.05


def test_a_changed_file_applies_from_the_next_request_on(file: Path) -> None:
    known = BehaviourFile(file)
    assert known.read().errors == 0
    write_behaviour(file, Behaviour(errors=1))
    assert known.read().errors == 1


@pytest.mark.parametrize(("instances", "status"), [(2, 200), (1, 503)])
def test_an_instance_is_ready_when_its_number_is_below_instances(file: Path, instances: int, status: int) -> None:
    write_behaviour(file, Behaviour(instances=instances))
    ((found, body),) = ask(file, "/readyz", instance=1)
    assert (found, body) == (status, {"ready": True} if status == 200 else {"detail": NOT_READY})


@pytest.mark.parametrize("golden", [True, False])
def test_golden_rows_are_answered_as_golden_says_whatever_the_error_rate(file: Path, golden: bool) -> None:
    write_behaviour(file, Behaviour(errors=1, golden=golden))
    ((_, rows),) = ask(file, "/golden")
    assert [row["input"] for row in rows["rows"]] == list(GOLDEN)
    for row in rows["rows"]:
        ((status, answer),) = ask(file, "/predict", row["input"])
        assert (status, answer == row["expected"]) == (200, golden)


def test_another_path_is_not_found(file: Path) -> None:
    assert ask(file, "/docs")[0][0] == 404
