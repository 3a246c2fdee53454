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
from fairlead.serving.http.v2 import OpenInference
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
