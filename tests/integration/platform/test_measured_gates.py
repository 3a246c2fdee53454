"""The gates on what services count, on real processes: worse labels, more CPU seconds, and a version like stable."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from fairlead.contracts.revision import Cause, Phase
from support import folders
from support.load.open_loop import OpenLoop
from support.load.prebuilt import Users
from support.platform import Platform, running_platform
from support.processes import wait_until

CODE = """
import time
from pathlib import Path
from typing import Literal
from pydantic import BaseModel
import fairlead

class Number(BaseModel):
    value: float

class Answer(BaseModel):
    label: Literal["low", "high"]

class Worker(fairlead.Model[Number, Answer]):
    def load(self, artifact: Path) -> None:
        self.seconds = float(artifact.read_text())

    def predict(self, rows: list[Number]) -> list[Answer]:
        end = time.thread_time() + self.seconds * len(rows)
        while time.thread_time() < end:
            pass
        return [Answer(label="high") for row in rows]
"""
GOLDEN = ({"input": {"value": 1.0}, "expected": {"label": "high"}},) * 2
OTHERS = ("errors", "starved", "rejections", "latency")
"""These are off: on a busy machine a candidate that needs more CPU is slow enough to be rolled back by them first."""
GATES = [{"name": "quality"}, {"name": "cost"}, *({"name": name, "role": "off"} for name in OTHERS)]
ROWS = json.dumps([{"value": 1.0}] * 10).encode()
RATE = 8
LABELS_EVERY_S = 1.0


def model(folder: Path, name: str, seconds: tuple[float, float], duration: str) -> dict[str, dict[str, Any]]:
    """Two versions, and the CPU seconds that a row of each takes."""
    sources = {}
    for version, each in zip(("1.0.0", "1.1.0"), seconds, strict=True):
        made = folders.make(
            folder / name / version,
            code=CODE,
            artifact=str(each).encode(),
            golden=GOLDEN,
            name=name,
            version=version,
            entry="model:Worker",
        )
        sources[version] = {"source": str(made)}
    strategy = {"steps": [{"weight": 5000, "minDuration": duration}], "gates": GATES}
    return {name: {"target": "1.0.0", "versions": sources, "strategy": strategy}}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("measured")
    models = model(folder, "dear", (0.001, 0.003), "10m")
    models |= model(folder, "wrong", (0.001, 0.001), "10m") | model(folder, "same", (0.001, 0.001), "40s")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAIRLEAD_SERVING_FEEDBACK_BYTES", "1048576")
        with running_platform(folder, models) as running:
            yield running


@contextmanager
def labelled(platform: Platform, name: str, wrong: float) -> Iterator[None]:
    """Clients send labels of both versions in this block. A tenth of stable's are wrong, of the candidate's `wrong`."""
    over, chance = threading.Event(), random.Random(16)

    def send() -> None:
        with httpx.Client(base_url=platform.url) as client:
            number = 0
            while not over.wait(LABELS_EVERY_S):
                for version, share in (("1.0.0", 0.1), ("1.1.0", wrong)):
                    number += 1
                    labels = [
                        {
                            "id": f"{number}-{at}",
                            "version": version,
                            "prediction": "high",
                            "truth": "low" if chance.random() < share else "high",
                        }
                        for at in range(20)
                    ]
                    client.post(f"/models/{name}/versions/{version}/feedback", json={"feedback": labels})

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def released(platform: Platform, name: str, wrong: float = 0.1) -> Iterator[None]:
    """The second version is released under load, and labels of both versions come in."""
    with ExitStack() as stack:
        stack.enter_context(
            OpenLoop(platform.url, rate=RATE, seconds=300, request=Users(f"/models/{name}/predict", body=ROWS))
        )
        stack.enter_context(labelled(platform, name, wrong))
        platform.command("release", name, "1.1.0")
        platform.wait_for(name, "the candidate has its share", weight=5000)
        wait_until(lambda: platform.head(name).state.phase is Phase.STABLE, "the rollout has ended", within=240)
        yield


@pytest.mark.timeout(400)
def test_a_candidate_that_uses_more_cpu_seconds_for_a_row_is_rolled_back_by_cost(platform: Platform) -> None:
    with released(platform, "dear"):
        head = platform.head("dear")
    assert head.cause is Cause.ROLLED_BACK
    assert "cost: 1.1.0 uses more CPU for a row than is allowed beside 1.0.0" in head.reason
    assert "CPU seconds for 1,000 rows against" in head.reason
    found = next(one.numbers for one in head.evidence if one.gate == "cost")
    assert found["candidate_cpu_s_per_1000"] > 1.5 * found["stable_cpu_s_per_1000"] > 1.5


@pytest.mark.timeout(400)
def test_a_candidate_whose_labels_say_that_it_is_wrong_more_often_is_rolled_back_by_quality(platform: Platform) -> None:
    with released(platform, "wrong", wrong=0.6):
        head = platform.head("wrong")
    assert head.cause is Cause.ROLLED_BACK
    assert "quality: 1.1.0 is wrong more often than 1.0.0" in head.reason
    assert "quality: 1.1.0 is wrong more often than 1.0.0" in platform.command("status", "wrong")


@pytest.mark.timeout(400)
def test_a_candidate_like_stable_passes_both(platform: Platform) -> None:
    with released(platform, "same"):
        head = platform.head("same")
    assert head.cause is Cause.PROMOTED, head.reason
    said = {one.gate: one.reason for one in head.evidence}
    assert "CPU seconds for 1,000 rows against" in said["cost"]
    assert "evidence of harm" in said["quality"]
