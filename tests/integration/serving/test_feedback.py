"""100,000 labels, out of order, late, double, unknown and bad: what real services count is that of numpy."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import folders
from support.processes import family, wait_until
from support.profiles import samples
from support.service import Service

CLASSES = ("cheap", "fair", "dear")
CODE = """
from typing import Literal
from pydantic import BaseModel
import fairlead

class Row(BaseModel):
    area: float

class Answer(BaseModel):
    {field}

class Doubler(fairlead.Model[Row, Answer]):
    def predict(self, rows: list[Row]) -> list[Answer]:
        return [{answer} for row in rows]
"""
OF_CLASSES = CODE.format(field=f"label: Literal{list(CLASSES)}", answer='Answer(label="dear")')
OF_NUMBERS = CODE.format(field="rent: float", answer="Answer(rent=10 * row.area)")
LABELS, IN_ONE = 100_000, 1000
SIZE = 8 << 20
Label = dict[str, Any]


def service(folder: Path, code: str) -> Service:
    made = folders.make(folder / "m", code=code, artifact=None, golden=())
    env = {"FAIRLEAD_SERVING_FEEDBACK_BYTES": f"{SIZE}", "FAIRLEAD_SERVING_FEEDBACK_WITHIN_S": "3600"}
    return Service(made, log=folder / "service.log", flags=("--workers", "2"), env=env)


def metrics(of: Service) -> dict[tuple[str, tuple[str, ...]], float]:
    return samples(of.ask("GET", "/metrics/drift").body.decode())


def send(to: Service, labels: Sequence[Label]) -> Counter[str]:
    found: Counter[str] = Counter()
    for start in range(0, len(labels), IN_ONE):
        body = json.dumps({"feedback": labels[start : start + IN_ONE]}).encode()
        reply = to.ask("POST", "/feedback", body)
        assert reply.status == 200, reply
        found.update(reply.json())
    return found


def labels(chance: random.Random, say: Any) -> Iterator[tuple[str, Label]]:
    """Labels, and what becomes of each: nine of ten are counted."""
    version = "1.0.0"
    now = time.time()
    for number in range(LABELS * 9 // 10):
        predicted, truth = say()
        yield (
            "counted",
            {
                "id": f"r{number // 2}",
                "row": number % 2,
                "version": version,
                "prediction": predicted,
                "truth": truth,
                "answered_at": now - chance.uniform(0, 3000),
            },
        )
    for number in range(LABELS // 20):
        predicted, truth = say()
        base = {"version": version, "prediction": predicted, "truth": truth}
        yield "late", {**base, "id": f"l{number}", "answered_at": now - 7200}
        yield "unknown", {**base, "id": f"u{number}", "version": "0.9.0"}


def expected(found: Sequence[tuple[str, Label]]) -> list[tuple[Any, Any]]:
    return [(one["prediction"], one["truth"]) for outcome, one in found if outcome == "counted"]


def test_outcomes_of_classes_are_those_of_numpy_over_all_workers(tmp_path: Path) -> None:
    chance = random.Random(0)
    made = list(labels(chance, lambda: (chance.choice(CLASSES), chance.choice((*CLASSES, None)))))
    chance.shuffle(made)
    doubles = [one for outcome, one in made[:20_000] if outcome == "counted"][:5000]
    with service(tmp_path, OF_CLASSES) as running:
        told = send(running, [one for _, one in made])
        assert told == Counter(outcome for outcome, _ in made)
        assert send(running, doubles) == Counter(double=len(doubles))
        bad = {"id": "b", "version": "1.0.0", "prediction": "dear", "truth": "Dear"}
        reply = running.ask("POST", "/feedback", json.dumps({"feedback": [doubles[0], bad]}).encode())
        assert (reply.status, reply.json()["errors"][0]["loc"]) == (422, ["body", "feedback", 1, "truth"])
        found = metrics(running)
    pairs = Counter(expected(made))
    names = (*CLASSES, "other")
    matrix = np.array([[pairs[one, None if two == "other" else two] for two in names] for one in names])
    live = np.array(
        [
            [
                found["feedback_outcomes_total", (one, two, "true" if one == two != "other" else "false")]
                for two in names
            ]
            for one in names
        ]
    )
    assert np.array_equal(live, matrix)
    assert {labels[0]: value for (name, labels), value in found.items() if name == "feedback_labels_total"} == {
        **told, "double": len(doubles), "bad": 1
    }  # fmt: skip
    assert found["feedback_lag_seconds_count", ()] == told["counted"]


def test_errors_of_numbers_are_those_of_numpy_over_all_workers(tmp_path: Path) -> None:
    chance = random.Random(1)
    made = list(labels(chance, lambda: (chance.gauss(500, 100), chance.gauss(500, 120))))
    chance.shuffle(made)
    with service(tmp_path, OF_NUMBERS) as running:
        assert send(running, [one for _, one in made]) == Counter(outcome for outcome, _ in made)
        found = metrics(running)
    pairs = np.array(expected(made))
    difference = pairs[:, 0] - pairs[:, 1]
    assert found["feedback_numbers_total", ()] == len(pairs)
    assert found["feedback_absolute_errors_total", ()] == pytest.approx(np.abs(difference).sum(), rel=1e-9)
    assert found["feedback_squared_errors_total", ()] == pytest.approx((difference**2).sum(), rel=1e-9)


def test_labels_are_counted_on_where_a_worker_was_killed(tmp_path: Path) -> None:
    label = {"version": "1.0.0", "prediction": "dear", "truth": "dear"}
    with service(tmp_path, OF_CLASSES) as running:
        first = [{**label, "id": f"{number}"} for number in range(100)]
        assert send(running, first) == Counter(counted=100)
        before = family(running.process.pid)[1:]
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: before[0] not in family(running.process.pid), "the worker is gone")
        assert send(running, first) == Counter(double=100)
