"""The estimate of the memory that rows need: not below what Python needs for them, and not far above."""

from __future__ import annotations

import tracemalloc

import orjson
import pytest
from pydantic import BaseModel, TypeAdapter

from fairlead.serving.formats.strict import strict
from fairlead.serving.inference import memory
from support.legal_bodies import Basket, Case, Free, Item, cases, wide

FAR = 3.5
"""Texts are estimated as long ones."""
TYPES = ("50 numbers", "68 integers", "68 texts", "30 dates", "objects in rows", "rows of objects", "one long list")
CASES = {case.name: case for case in cases() if case.name.removesuffix(": a list") in TYPES}


class Choice(BaseModel):
    """An object without required fields."""

    a: float = 0
    b: float = 0


class Choices(BaseModel):
    """A list of the smallest objects."""

    items: list[Choice]


class Words(BaseModel):
    """A list of texts."""

    words: list[str]


class Tree(BaseModel):
    """A type that contains itself."""

    name: str
    parts: list[Tree]


def small(name: str, row: type[BaseModel], document: object) -> Case:
    return Case(name, row, "", lambda: orjson.dumps([document]))


SMALL = (
    small("small objects", Choices, {"items": [{}] * 10_000}),
    small("wide characters", Words, {"words": ["a" * 100_000 + "\U0001f600"]}),
    small("a tree", Tree, {"name": "a", "parts": [{"name": "b", "parts": []}] * 5000}),
)


def of(row: type[BaseModel]) -> memory.RowMemory:
    return memory.of_rows(row, TypeAdapter(row).core_schema)


@pytest.mark.parametrize("case", [*CASES.values(), *SMALL], ids=lambda case: case.name)
def test_the_estimate_is_not_below_what_the_rows_need_and_not_far_above(case: Case) -> None:
    row, body = strict(case.row), case.make()
    rows = TypeAdapter(list[row])  # type: ignore[valid-type]
    tracemalloc.start()
    try:
        decoded = rows.validate_json(body)
        needed = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert needed <= of(row).of(body, len(decoded)) <= FAR * needed


@pytest.mark.parametrize(
    ("row", "most"),
    [(wide(float, 4), 4), (Free, 8), (wide(list[list[float]], 1), 24), (wide(set[float], 1), 60), (Basket, 76)],
)
def test_a_byte_of_json_needs_more_memory_the_smaller_its_objects_are(row: type[BaseModel], most: int) -> None:
    assert of(row).per_byte == most


def test_objects_that_may_be_empty_need_most() -> None:
    assert of(Choices).per_byte > 3 * of(Basket).per_byte


def test_a_row_needs_memory_for_each_of_its_fields() -> None:
    assert of(wide(float, 100)).row > 10 * of(Item).row
