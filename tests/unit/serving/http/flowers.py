"""Models whose fields are numbers, lists of numbers or text, and a client that sends one request to one of them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from pydantic import BaseModel, Field

import fairlead
from fairlead.serving.settings import Settings
from support.small_models import Reply, Served, ask, manifest, running


class Flower(BaseModel):
    """Two numbers, one of them whole."""

    width: float = Field(gt=0, le=10)
    petals: int


class Bloom(BaseModel):
    """What was received."""

    width: float
    petals: int


class Florist(fairlead.Model[Flower, Bloom]):
    """Returns its rows."""

    def predict(self, rows: list[Flower]) -> list[Bloom]:
        return [Bloom(width=row.width, petals=row.petals) for row in rows]


class Vector(BaseModel):
    """One field of three numbers."""

    features: list[float] = Field(min_length=3, max_length=3)


class Total(BaseModel):
    """A sum."""

    total: float


class Adder(fairlead.Model[Vector, Total]):
    """Adds the numbers of a row."""

    def predict(self, rows: list[Vector]) -> list[Total]:
        return [Total(total=sum(row.features)) for row in rows]


class Text(BaseModel):
    """A field that is no number."""

    text: str


class Length(BaseModel):
    """The number of characters."""

    length: int


class Counter(fairlead.Model[Text, Length]):
    """Counts characters."""

    def predict(self, rows: list[Text]) -> list[Length]:
        return [Length(length=len(row.text)) for row in rows]


class Sparse(BaseModel):
    """Numbers that may be missing."""

    x: float | None
    n: int | None = None


class Mirror(fairlead.Model[Sparse, Sparse]):
    """Returns its rows."""

    def predict(self, rows: list[Sparse]) -> list[Sparse]:
        return rows


ROWS = [{"width": 1.5, "petals": 3}, {"width": 2.5, "petals": 4}]
"""Rows of a `Florist`, and its answers."""


def served(model: type[fairlead.Model[Any, Any]]) -> Served:
    return Served(model, model.row_type, model.answer_type, (), manifest(name="flowers"))


FLOWERS, VECTORS, TEXTS, SPARSE = (served(model) for model in (Florist, Adder, Counter, Mirror))
PREDICT, V1, V2 = "/predict", "/v1/models/flowers:predict", "/v2/models/flowers/infer"


def send(
    model: Served,
    path: str,
    body: Any,
    headers: dict[str, str] | None = None,
    *,
    method: str = "POST",
    settings: Settings | None = None,
) -> Reply:
    async def once() -> Reply:
        async with running(model, settings) as app:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            return await ask(app, method, path, data, headers)

    return asyncio.run(once())


def detail(reply: Reply) -> str:
    text: str = json.loads(reply.body)["error"]
    return text


def tensor(name: str, shape: list[int], datatype: str, data: list[Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data, **more}


def outputs(reply: Reply) -> dict[str, Any]:
    assert reply.status == 200, reply
    return {output["name"]: output["data"] for output in json.loads(reply.body)["outputs"]}
