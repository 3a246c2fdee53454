"""Legal bodies at the limits of a service, of every protocol and of row types that cost much to decode."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import orjson
from pydantic import BaseModel, Field, RootModel, create_model

import fairlead
from fairlead.serving.formats.strict import strict
from fairlead.serving.inference import contract
from fairlead.serving.open_inference import interface
from support.small_models import Served, ask, manifest, running

ROWS = 4096
PREDICT, V1, V2 = "/predict", "/v1/models/adder:predict", "/v2/models/adder/infer"


class Long(BaseModel):
    """An answer whose text is longer than its row."""

    label: str
    scores: dict[str, float]


ANSWER = Long(label="a label", scores={f"class {number}": number / 7 for number in range(10)})


class Item(BaseModel):
    """A small object."""

    a: float


class Basket(BaseModel):
    """A list of small objects."""

    items: list[Item]


class Vector(BaseModel):
    """A list of fixed length."""

    values: list[float] = Field(min_length=60, max_length=60)


class Free(BaseModel):
    """A list of any length."""

    values: list[float]


class Features(RootModel[dict[str, float]]):
    """Numbers under any names."""


class Case(NamedTuple):
    """A row type, the path that a body for it is sent to, and what makes the body."""

    name: str
    row: type[BaseModel]
    path: str
    make: Callable[[], bytes]


def wide(kind: Any, width: int) -> type[BaseModel]:
    """A row type with so many fields of one type."""
    fields: dict[str, Any] = {f"f{number:02}": (kind, ...) for number in range(width)}
    return create_model(f"Wide{width}", **fields)


def cases() -> Iterator[Case]:
    """Bodies that the default limits allow: 4096 rows, or as many values as a body may have."""
    for name, kind, width, value in (
        ("50 numbers", float, 50, _number),
        ("68 integers", int, 68, lambda draw: draw.randrange(10**6)),
        ("68 numbers or null", float | None, 68, _number),
        ("68 texts", str, 68, lambda draw: "a:b"),
        ("30 dates", datetime, 30, lambda draw: "2025-01-01T12:00:00Z"),
    ):
        row = wide(kind, width)
        lists = partial(_lists, width, value)
        yield from _objects(name, row, partial(_named, row, lists))
        if kind in (float, int):
            yield Case(f"{name}: lists", row, PREDICT, partial(_plain, lists))
            yield Case(f"{name}: lists in instances", row, V1, partial(_instances, lists))
            for datatype in ("FP64", "INT32") if kind is int else ("FP64",):
                yield Case(f"{name}: a matrix of {datatype}", row, V2, partial(_matrix, lists, datatype, nested=False))
                yield Case(f"{name}: lists of {datatype}", row, V2, partial(_matrix, lists, datatype, nested=True))
    yield from _objects("objects in rows", Basket, lambda: [{"items": [{"a": 1.5}] * 12}] * ROWS)
    yield from _objects("rows of objects", Basket, lambda: [{"items": [{"a": 1.5}] * 8000}] * 6)
    yield from _objects("names of any kind", Features, lambda: [_numbers(f"k{at}" for at in range(68))] * ROWS)
    yield from _objects("lists of 60", Vector, lambda: [{"values": [0.125] * 60}] * ROWS)
    yield from _objects("one long list", Free, lambda: [{"values": [0.125] * 290_000}])
    yield from _objects("few fields", wide(float, 1), lambda: [{"f00": 1.0}] * ROWS)


Rows = Callable[[], list[Any]]


def _objects(name: str, row: type[BaseModel], rows: Rows) -> Iterator[Case]:
    yield Case(f"{name}: a list", row, PREDICT, partial(_plain, rows))
    yield Case(f"{name}: instances", row, V1, partial(_instances, rows))
    yield Case(f"{name}: tensors", row, V2, partial(_tensors, row, rows))


def _number(draw: random.Random) -> float:
    return round(draw.random() * 10, 3)


def _numbers(names: Iterable[str]) -> dict[str, float]:
    draw = random.Random(1)
    return {name: _number(draw) for name in names}


def _lists(width: int, value: Callable[[random.Random], Any]) -> list[Any]:
    draw = random.Random(1)
    return [[value(draw) for _ in range(width)] for _ in range(ROWS)]


def _named(row: type[BaseModel], lists: Rows) -> list[Any]:
    return [dict(zip(row.model_fields, values, strict=True)) for values in lists()]


def _plain(rows: Rows) -> bytes:
    return orjson.dumps(rows())


def _instances(rows: Rows) -> bytes:
    return orjson.dumps({"instances": rows()})


def _matrix(lists: Rows, datatype: str, *, nested: bool) -> bytes:
    rows = lists()
    data = rows if nested else [value for row in rows for value in row]
    tensor = {"name": "all", "shape": [len(rows), len(rows[0])], "datatype": datatype, "data": data}
    return orjson.dumps({"inputs": [tensor]})


def _tensors(row: type[BaseModel], rows: Rows) -> bytes:
    inputs = interface.OpenInference(contract.Contract(strict(row), Long, ROWS), manifest())
    return orjson.dumps({"inputs": inputs.as_tensors(rows())})


def served(row: type[BaseModel]) -> Served:
    """A model that gives every row the same answer."""

    class Same(fairlead.Model[row, Long]):  # type: ignore[valid-type]
        def predict(self, rows: list[Any]) -> list[Long]:
            return [ANSWER] * len(rows)

    return Served(Same, row=row, answer_type=Long, golden=())


async def longest_turn(case: Case) -> float:
    """The processor time of the longest turn of the loop until the answer came, the less of two requests.

    Another program on this machine adds little to it: only what this process computes counts.
    """
    found = []
    async with running(served(case.row)) as app:
        body = case.make()
        for _ in range(2):
            reply = asyncio.create_task(ask(app, "POST", case.path, body))
            longest, last = 0.0, time.process_time()
            while not reply.done():
                await asyncio.sleep(0.0005)
                now = time.process_time()
                longest, last = max(longest, now - last), now
            assert (await reply).status == 200
            found.append(longest)
    return min(found)
