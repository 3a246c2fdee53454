"""Tags of a union that are numbers mean what JSON says: true is no 1, and 1.0 is none either."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any, Literal

import orjson
import pytest
from pydantic import BaseModel, Field, create_model

from fairlead import errors
from fairlead.serving.formats.strict import strict
from fairlead.serving.inference.contract import Contract


class One(BaseModel):
    tag: Literal[1]


class Two(BaseModel):
    tag: Literal[2]


class Yes(BaseModel):
    tag: Literal[True]


class Kind(IntEnum):
    ONE = 1


class OfEnum(BaseModel):
    tag: Literal[Kind.ONE]


Numbered = Annotated[One | Two, Field(discriminator="tag")]
PLACES: dict[str, tuple[Any, Any]] = {
    "a field": (One | Two, lambda inner: inner),
    "a list": (list[Numbered], lambda inner: [inner]),
    "a mapping": (dict[str, Numbered], lambda inner: {"key": inner}),
    "a field that may be null": (Numbered | None, lambda inner: inner),
    "an enum": (OfEnum | Two, lambda inner: inner),
}


def decoded(kind: Any, value: Any) -> Any:
    field = Field(discriminator="tag") if kind in (One | Two, OfEnum | Two, Yes | Two) else ...
    row = strict(create_model("Row", f=(kind, field)))
    return Contract(row, One, 10).decode_one(orjson.dumps({"f": value}))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("tag", [True, 1.0, 3, "1", None, [1], {"a": 1}])
def test_a_tag_that_only_looks_like_one_of_a_union_is_refused(place: str, tag: Any) -> None:
    kind, around = PLACES[place]
    with pytest.raises(errors.Invalid) as refused:
        decoded(kind, around({"tag": tag}))
    assert {detail.type for detail in refused.value.details} <= {"union_tag_invalid", "union_tag_not_found"}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("tag", [1, 2])
def test_a_tag_that_is_a_number_of_the_union_is_accepted(place: str, tag: int) -> None:
    kind, around = PLACES[place]
    assert decoded(kind, around({"tag": tag}))


def test_true_may_be_a_tag_and_1_is_none_then() -> None:
    assert decoded(Yes | Two, {"tag": True})
    with pytest.raises(errors.Invalid, match="tag '1'"):
        decoded(Yes | Two, {"tag": 1})


@pytest.mark.parametrize("value", [5, [], {}, None])
def test_what_has_no_tag_is_refused(value: Any) -> None:
    with pytest.raises(errors.Invalid):
        decoded(One | Two, value)
