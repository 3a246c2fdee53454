"""A pipeline that was fitted on a table answers in every protocol what it answers to the same rows of the table."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from fairlead.serving.app import App, build_app
from fairlead.serving.formats.folder import load_folder
from fairlead.serving.formats.writer import write_folder
from fairlead.serving.open_inference.interface import OpenInference
from support.artifacts.tables import NAMES, Fitted, tables
from support.small_models import ask

SIZES = (1, 2, 3, 17)
Rows = Sequence[Mapping[str, Any]]


def folder(fitted: Fitted, path: Path) -> Path:
    stated = {"name": "m", "version": "1", "format": "sklearn", "inputs": fitted.inputs, "outputs": fitted.outputs}
    write_folder(path, stated, fitted.estimator)
    return path


async def served(path: Path, use: Callable[[App], Any]) -> Any:
    app = build_app(load_folder(path))
    async with app.lifespan():
        while app.state.phase in ("loading", "warming"):
            await asyncio.sleep(0.001)
        assert app.state.phase == "ready", app.state.reason
        return await use(app)


async def post(app: App, path: str, body: Any) -> Any:
    reply = await ask(app, "POST", path, json.dumps(body).encode())
    assert reply.status == 200, reply.body
    return json.loads(reply.body)


async def in_every_protocol(app: App, rows: Rows) -> dict[str, list[list[Any]]]:
    """The answers of each protocol: a list per row, with the outputs in their order."""
    found: dict[str, list[Any]] = {"list": await post(app, "/predict", list(rows))}
    found["V1"] = (await post(app, "/v1/models/m:predict", {"instances": list(rows)}))["predictions"]
    if len(rows) == 1:
        found["JSON"] = [await post(app, "/predict", rows[0])]
    answered = {protocol: [list(answer.values()) for answer in answers] for protocol, answers in found.items()}
    tensors = OpenInference(app.plane.terms, app.plane._served.manifest).as_tensors([dict(row) for row in rows])
    outputs = (await post(app, "/v2/models/m/infer", {"inputs": tensors}))["outputs"]
    return answered | {"V2": [list(row) for row in zip(*(_split(one) for one in outputs), strict=True)]}


def _split(output: Mapping[str, Any]) -> list[Any]:
    """The values of an output tensor, row by row, in its shape."""
    values = list(output["data"])
    for size in reversed(output["shape"][1:]):
        values = [values[start : start + size] for start in range(0, len(values), size)]
    return values


@pytest.mark.parametrize("name", NAMES)
def test_the_answers_alone_and_in_a_batch_are_those_of_the_library(name: str, tmp_path: Path) -> None:
    fitted = tables()[name]
    rows = fitted.rows()

    async def compare(app: App) -> None:
        for size in SIZES:
            for start in (0, size):
                part = slice(start, start + size)
                wanted = fitted.truth(part)
                for protocol, answers in (await in_every_protocol(app, rows[part])).items():
                    assert answers == wanted, (protocol, part)

    asyncio.run(served(folder(fitted, tmp_path / "m"), compare))


def test_a_null_is_an_element_of_a_tensor_and_the_metadata_say_the_datatype(tmp_path: Path) -> None:
    fitted = tables()["booleans"]
    row = {"area": 50.0, "balcony": None, "lift": True}
    table = fitted.table.head(1).assign(**row).astype(fitted.table.dtypes)
    (wanted,) = fitted.estimator.predict(table).tolist()

    async def infer(app: App) -> None:
        shown = json.loads((await ask(app, "GET", "/v2/models/m")).body)["inputs"]
        assert {one["name"]: one["datatype"] for one in shown} == {"area": "FP64", "balcony": "BOOL", "lift": "BOOL"}
        data = [{**one, "shape": [1], "data": [row[one["name"]]]} for one in shown]
        outputs = (await post(app, "/v2/models/m/infer", {"inputs": data}))["outputs"]
        assert outputs[0]["data"] == [wanted]
        left_out = [one for one in data if one["name"] != "balcony"]
        assert (await post(app, "/v2/models/m/infer", {"inputs": left_out}))["outputs"] == outputs

    asyncio.run(served(folder(fitted, tmp_path / "m"), infer))


def test_a_nullable_text_is_a_plain_element(tmp_path: Path) -> None:
    fitted = tables()["names with spaces"]
    tensors = [
        {"name": "city", "datatype": "BYTES", "shape": [2], "data": ["Ulm", None]},
        {"name": "area", "datatype": "FP64", "shape": [2], "data": [50, None]},
    ]
    rows = [{"city": "Ulm", "area": 50.0}, {}]

    async def infer(app: App) -> None:
        listed = await post(app, "/predict", rows)
        outputs = (await post(app, "/v2/models/m/infer", {"inputs": tensors}))["outputs"]
        assert outputs[0]["data"] == [answer["rent"] for answer in listed]

    asyncio.run(served(folder(fitted, tmp_path / "m"), infer))
