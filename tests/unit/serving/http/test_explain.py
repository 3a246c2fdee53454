"""KServe's V1 `:explain`: one explanation per row, from a class that defines `explain`."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from fairlead import errors
from fairlead.serving.formats.folder import load_folder
from fairlead.serving.settings import Settings
from support import folders
from support.small_models import Adder, Point, Reply, Served, Sum, ask, running

EXPLAIN = "/v1/models/adder:explain"
ROWS = [{"x": 1.0, "y": 2.0}, {"x": 3.0}]


class Part(BaseModel):
    """A part of an explanation."""

    weight: float


class Explained(Adder):
    """Says which part of the sum each number is."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def explain(self, rows: list[Point]) -> list[Any]:
        self.calls.append(len(rows))
        self.thread = threading.current_thread().name
        return [{"x": np.float32(row.x), "all": np.array([row.x, row.y]), "part": Part(weight=row.n)} for row in rows]


def returning(value: Any) -> Served:
    class Wrong(Adder):
        def explain(self, rows: list[Point]) -> list[Any]:
            if isinstance(value, Exception):
                raise value
            found: list[Any] = value(rows)
            return found

    return Served(Wrong)


def sent(served: Served, document: Any, settings: Settings | None = None, **headers: str) -> Reply:
    async def check() -> Reply:
        async with running(served, settings) as app:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return await ask(app, "POST", EXPLAIN, json.dumps(document).encode(), named)

    return asyncio.run(check())


def test_each_row_gets_one_explanation_with_numbers_of_numpy_and_models_of_pydantic() -> None:
    reply = sent(Served(Explained), {"instances": ROWS})
    assert json.loads(reply.body) == {
        "explanations": [
            {"x": 1.0, "all": [1.0, 2.0], "part": {"weight": 1.0}},
            {"x": 3.0, "all": [3.0, 0.0], "part": {"weight": 1.0}},
        ]
    }
    assert (reply.status, reply.headers["x-model-version"]) == (200, "1.2.0")


def test_explanations_run_on_the_model_s_thread_one_request_a_call_and_are_counted() -> None:
    model = Explained()

    async def check() -> None:
        async with running(replace(Served(), model=lambda: model, explained=True)) as app:
            bodies = [json.dumps({"instances": ROWS[:count]}).encode() for count in (1, 2, 2)]
            await asyncio.gather(*(ask(app, "POST", EXPLAIN, body) for body in bodies))
            text = (await ask(app, "GET", "/metrics")).body.decode()
            assert 'fairlead_model_requests_total{code="200",model="adder",protocol="v1",version="1.2.0"} 3.0' in text

    asyncio.run(check())
    assert (sorted(model.calls), model.thread) == ([1, 2, 2], "model-0")


def test_a_model_that_explains_nothing_says_so_and_its_openapi_has_no_such_path() -> None:
    async def check() -> None:
        async with running(Served()) as app:
            reply = await ask(app, "POST", EXPLAIN, json.dumps({"instances": ROWS}).encode())
            assert reply.status == 404
            assert json.loads(reply.body)["detail"].startswith("adder 1.2.0 explains no answers: its class does not")
            assert EXPLAIN not in json.loads((await ask(app, "GET", "/openapi.json")).body)["paths"]

    asyncio.run(check())


def test_openapi_has_the_path_of_a_model_that_explains() -> None:
    async def check() -> None:
        async with running(Served(Explained)) as app:
            paths = json.loads((await ask(app, "GET", "/openapi.json")).body)["paths"]
            operation = paths[EXPLAIN]["post"]
            answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
            assert (operation["operationId"], answer["required"]) == ("v1_explain_0", ["explanations"])

    asyncio.run(check())


def test_rows_are_validated_as_for_predictions() -> None:
    reply = sent(Served(Explained), {"instances": [{"x": 1}, {"x": 1001}]})
    assert (reply.status, json.loads(reply.body)["errors"][0]["loc"]) == (422, ["body", "instances", 1, "x"])


WRONG: dict[str, Any] = {
    "too few": (lambda rows: [1], "model-failed"),
    "no list": (lambda rows: 3, "model-failed"),
    "NaN": (lambda rows: [float("nan")] * len(rows), "model-failed"),
    "NaN in an array": (lambda rows: np.full((len(rows), 2), np.nan), "model-failed"),
    "no JSON": (lambda rows: [object()] * len(rows), "model-failed"),
    "an exception": (ValueError("a secret of the inside"), "model-failed"),
}


@pytest.mark.parametrize(("value", "kind"), WRONG.values(), ids=WRONG)
def test_an_explanation_that_is_no_json_is_a_failure_of_the_model(value: Any, kind: str) -> None:
    reply = sent(returning(value), {"instances": ROWS})
    assert (reply.status, json.loads(reply.body)["type"].rpartition(":")[2]) == (500, kind)
    assert b"secret" not in reply.body


def test_the_deadline_counts_for_explanations() -> None:
    assert sent(Served(Explained), {"instances": ROWS}, x_deadline_ms="0").status == 504


def test_explanations_above_the_limit_of_answers_are_refused() -> None:
    served = returning(lambda rows: ["x" * 2000] * len(rows))
    assert sent(served, {"instances": ROWS}, Settings(max_answer_bytes=1024)).status == 422


def test_a_hanging_explanation_makes_the_service_unready() -> None:
    release = threading.Event()

    class Hanging(Adder):
        def explain(self, rows: list[Point]) -> list[Any]:
            release.wait(30)
            return [0] * len(rows)

    async def check() -> None:
        async with running(Served(Hanging), Settings(call_timeout_s=0.2)) as app:
            reply = await ask(app, "POST", EXPLAIN, json.dumps({"instances": ROWS}).encode())
            assert reply.status == 504
            assert (await ask(app, "GET", "/livez")).status == 503
            assert (await ask(app, "POST", "/predict", json.dumps(ROWS[0]).encode())).status == 503
            release.set()

    asyncio.run(check())


CODE = folders.DOUBLER + "\n    def explain(self, rows): return [row.value for row in rows]\n"


def test_a_process_of_the_model_s_own_is_refused_with_explanations(tmp_path: Path) -> None:
    assert load_folder(folders.make(tmp_path / "m", code=CODE)).explains
    with pytest.raises(errors.Invalid, match="Doubler defines explain, which a process of the model's own does not"):
        load_folder(folders.make(tmp_path / "n", code=CODE, isolation="process"))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("    def explain(self): ...", "cannot be called as explain\\(rows\\)"),
        ("    async def explain(self, rows): ...", "Doubler.explain is async"),
        ("    def explain(self, rows):\n        yield 1", "Doubler.explain is a generator"),
    ],
)
def test_an_explain_that_cannot_be_called_is_refused(tmp_path: Path, lines: str, message: str) -> None:
    with pytest.raises(errors.Invalid, match=message):
        load_folder(folders.make(tmp_path / "m", code=f"{folders.DOUBLER}\n{lines}\n"))


def test_predictions_are_answered_beside_explanations() -> None:
    async def check() -> None:
        async with running(Served(Explained)) as app:
            asked = [ask(app, "POST", EXPLAIN, json.dumps({"instances": ROWS}).encode()) for _ in range(5)]
            predicted = [ask(app, "POST", "/predict", json.dumps(ROWS).encode()) for _ in range(5)]
            replies = await asyncio.gather(*asked, *predicted)
            assert [reply.status for reply in replies] == [200] * 10
            assert json.loads(replies[-1].body) == [Sum(total=4, kind="a").model_dump(), {"total": 4.0, "kind": "a"}]

    asyncio.run(check())
