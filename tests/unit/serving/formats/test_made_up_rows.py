"""Made-up rows are accepted by the type that they are made from, differ, and are the same each time."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import uuid
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, NaiveDatetime, create_model

from fairlead.serving.formats.made_up_rows import made_up
from fairlead.serving.formats.strict import strict


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Part(BaseModel):
    width: float = Field(gt=0, lt=1)
    colour: Colour | None = None


class Circle(BaseModel):
    kind: Literal["circle"]
    radius: float


class Square(BaseModel):
    kind: Literal["square"]
    side: float


class Tree(BaseModel):
    left: Tree | None = None
    children: list[Tree] = []


KINDS: list[Any] = [
    int,
    float,
    bool,
    str,
    float | None,
    Annotated[int, Field(ge=3, le=5)],
    Annotated[int, Field(gt=-5, lt=-3)],
    Annotated[int, Field(ge=10**17)],
    Annotated[int, Field(multiple_of=7, gt=0)],
    Annotated[float, Field(gt=0, le=0.001)],
    Annotated[float, Field(lt=-(10**9))],
    Annotated[str, Field(min_length=40, max_length=41)],
    Annotated[str, Field(max_length=2)],
    Annotated[list[int], Field(min_length=3, max_length=3)],
    Annotated[set[int], Field(min_length=2)],
    tuple[int, str],
    dict[str, float],
    Literal["a", 2, True],
    Colour,
    Part,
    list[Part],
    Tree,
    Annotated[Circle | Square, Field(discriminator="kind")],
    datetime.datetime,
    AwareDatetime,
    NaiveDatetime,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    decimal.Decimal,
    uuid.UUID,
    Any,
]


def type_of(kinds: list[Any]) -> type[BaseModel]:
    fields: dict[str, Any] = {f"f{place}": (kind, ...) for place, kind in enumerate(kinds)}
    return strict(create_model("Row", **fields))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_field_of_every_type_gets_values_that_are_accepted(kind: Any) -> None:
    row_type = type_of([kind])
    assert made_up(row_type)
    for row in made_up(row_type):
        row_type.model_validate_json(json.dumps(row))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=6))
def test_rows_of_any_fields_are_accepted_differ_and_are_the_same_each_time(kinds: list[Any]) -> None:
    row_type = type_of(kinds)
    rows = made_up(row_type)
    assert len(rows) == len({json.dumps(row) for row in rows}) >= 1
    assert rows == made_up(row_type)


def test_a_field_that_may_be_null_is_null_in_one_row_and_not_in_another() -> None:
    rows = made_up(type_of([float | None, int | None, str | None]))
    for field in ("f0", "f1", "f2"):
        assert {row[field] is None for row in rows} == {True, False}
    assert not any(all(value is None for value in row.values()) for row in rows[:1])


def test_a_number_with_two_bounds_takes_values_all_over_the_range() -> None:
    rows = made_up(type_of([Annotated[float, Field(ge=0, le=100)]]))
    values = [row["f0"] for row in rows]
    assert min(values) < 30
    assert max(values) > 70


def test_a_type_with_rules_of_its_own_gets_no_rows() -> None:
    def refuse(value: str) -> str:
        raise ValueError("never")

    assert made_up(type_of([Annotated[str, AfterValidator(refuse)]])) == []
    assert made_up(type_of([Annotated[str, Field(pattern="^[A-Z]{2}-[0-9]{7}$")]])) == []


def test_an_image_is_made_up_of_few_values_so_that_eight_of_them_take_no_minute() -> None:
    values = Annotated[list[float], Field(min_length=64, max_length=64)]
    lines = Annotated[list[values], Field(min_length=64, max_length=64)]
    image = create_model("Image", pixels=(Annotated[list[lines], Field(min_length=3, max_length=3)], ...))
    found = made_up(strict(image), 3)
    assert len(found) == len({json.dumps(row) for row in found}) == 3
    assert len({id(line) for channel in found[0]["pixels"] for line in channel}) < 70


def test_of_rows_as_large_as_the_values_of_a_photo_there_are_two() -> None:
    values = Annotated[list[float], Field(min_length=224, max_length=224)]
    lines = Annotated[list[values], Field(min_length=224, max_length=224)]
    image = create_model("Image", pixels=(Annotated[list[lines], Field(min_length=3, max_length=3)], ...))
    found = made_up(strict(image))
    assert len(found) == len({json.dumps(row) for row in found}) == 2
