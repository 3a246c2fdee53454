"""What changed between two versions' types, and whether it breaks clients."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from fairlead.contracts.schema_changes import changes

KINDS: dict[str, Any] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "int or null": int | None,
    "float or null": float | None,
    "positive": Annotated[float, Field(gt=0)],
    "at least 0": Annotated[float, Field(ge=0)],
    "0 to 10": Annotated[int, Field(ge=0, le=10)],
    "0 to 10 or null": Annotated[int, Field(ge=0, le=10)] | None,
    "short": Annotated[str, Field(max_length=2)],
    "a or b": Literal["a", "b"],
    "a": Literal["a"],
    "a or 1": Literal["a", 1],
    "list of int": list[int],
    "list of float": list[float],
    "few": Annotated[list[float], Field(max_length=1)],
    "int or str": int | str,
    "map": dict[str, int],
}
VALUES = [None, -1, 0, 1, 11, 0.5, -0.5, "a", "b", "ccc", True, [], [1], [0.5, 2], {}, {"k": 1}]
FIELDS = st.dictionaries(st.sampled_from("xyz"), st.tuples(st.sampled_from([*KINDS]), st.booleans()), max_size=3)


def model(fields: dict[str, tuple[str, bool]], *, extra: Literal["forbid", "ignore"] = "forbid") -> type[BaseModel]:
    found = {name: (KINDS[kind], ... if must else Field(default=None)) for name, (kind, must) in fields.items()}
    return create_model("Row", __config__=ConfigDict(extra=extra, strict=True), **found)  # type: ignore[call-overload, no-any-return]


def takes(kind: type[BaseModel], row: object) -> bool:
    try:
        kind.model_validate_json(json.dumps(row))
    except ValidationError:
        return False
    return True


def said(old: type[BaseModel], new: type[BaseModel], side: Literal["row", "answer"] = "row") -> list[str]:
    return [str(one) for one in changes(old.model_json_schema(), new.model_json_schema(), side)]


class Before(BaseModel):
    """A person."""

    age: Annotated[int, Field(ge=0, le=120)]
    kind: Literal["a", "b"]
    bmi: float
    note: str | None = None


@given(FIELDS)
def test_the_same_types_have_no_changes(fields: dict[str, tuple[str, bool]]) -> None:
    assert said(model(fields), model(fields)) == []


@settings(max_examples=300)
@given(FIELDS, FIELDS, st.dictionaries(st.sampled_from("xyz"), st.sampled_from(VALUES)))
def test_a_row_that_is_not_taken_any_more_is_told_by_a_breaking_change(
    old: dict[str, tuple[str, bool]], new: dict[str, tuple[str, bool]], row: dict[str, object]
) -> None:
    if takes(model(old), row) and not takes(model(new), row):
        assert any(one.startswith("breaking") for one in said(model(old), model(new)))


@settings(max_examples=300)
@given(FIELDS, FIELDS, st.dictionaries(st.sampled_from("xyz"), st.sampled_from(VALUES)))
def test_an_answer_that_an_earlier_client_cannot_read_is_told_by_a_breaking_change(
    old: dict[str, tuple[str, bool]], new: dict[str, tuple[str, bool]], answer: dict[str, object]
) -> None:
    if takes(model(new), answer) and not takes(model(old, extra="ignore"), answer):
        assert any(one.startswith("breaking") for one in said(model(old), model(new), "answer"))


@pytest.mark.parametrize(
    ("fields", "row", "answer"),
    [
        ({"age": (Annotated[int, Field(ge=0, le=120)], ...)}, [], []),
        (
            {"age": (Annotated[int, Field(ge=18, le=120)], ...)},
            ["breaking: row.age: at least 18, was 0"],
            ["safe: answer.age: at least 18, was 0"],
        ),
        (
            {"age": (Annotated[int, Field(ge=0)], ...)},
            ["safe: row.age: not limited, was at most 120"],
            ["breaking: answer.age: not limited, was at most 120"],
        ),
        (
            {"kind": (Literal["a", "b", "c"], ...)},
            ['safe: row.kind: value "c" added'],
            ['breaking: answer.kind: value "c" added'],
        ),
        (
            {"kind": (Literal["b"], ...)},
            ['breaking: row.kind: value "a" removed'],
            ['safe: answer.kind: value "a" removed'],
        ),
        (
            {"bmi": (int, ...)},
            ["breaking: row.bmi: type number -> integer"],
            ["safe: answer.bmi: type number -> integer"],
        ),
        (
            {"bmi": (str, ...)},
            ["breaking: row.bmi: type number -> string"],
            ["breaking: answer.bmi: type number -> string"],
        ),
        ({"note": (str | None, ...)}, ["breaking: row.note: required now"], ["safe: answer.note: required now"]),
        ({"bmi": (float, 1.0)}, ["safe: row.bmi: optional now"], ["breaking: answer.bmi: optional now"]),
        (
            {"more": (int, ...)},
            ["breaking: row.more: added, required"],
            ["safe: answer.more: added, required"],
        ),
        ({"more": (int, 1)}, ["safe: row.more: added, optional"], ["safe: answer.more: added, optional"]),
    ],
)
def test_each_kind_of_change_is_safe_or_breaking_for_those_who_send_rows_and_who_read_answers(
    fields: dict[str, Any], row: list[str], answer: list[str]
) -> None:
    after = create_model("After", __base__=Before, **fields)
    assert said(Before, after) == row
    assert said(Before, after, "answer") == answer


class Point(BaseModel):
    x: float


class Point3(Point):
    z: float = 0.0


class Open(BaseModel):
    x: float


class Closed(BaseModel, extra="forbid"):
    x: float


SAFE, BREAKING = "safe", "breaking"
MUTATIONS: dict[str, tuple[Any, Any, str, str]] = {
    # name: the type before, the type now, what it is for who sends it, and for who reads it
    "a smaller minimum": (Annotated[int, Field(ge=0)], Annotated[int, Field(ge=-1)], SAFE, BREAKING),
    "a larger minimum": (Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)], BREAKING, SAFE),
    "no minimum any more": (Annotated[int, Field(ge=0)], int, SAFE, BREAKING),
    "a new minimum": (float, Annotated[float, Field(ge=0)], BREAKING, SAFE),
    "0 itself is not taken any more": (Annotated[float, Field(ge=0)], Annotated[float, Field(gt=0)], BREAKING, SAFE),
    "0 itself is taken too": (Annotated[float, Field(gt=0)], Annotated[float, Field(ge=0)], SAFE, BREAKING),
    "a smaller maximum": (Annotated[int, Field(le=9)], Annotated[int, Field(le=8)], BREAKING, SAFE),
    "a larger maximum": (Annotated[int, Field(le=9)], Annotated[int, Field(le=10)], SAFE, BREAKING),
    "a new maximum": (float, Annotated[float, Field(lt=1)], BREAKING, SAFE),
    "shorter texts": (Annotated[str, Field(max_length=9)], Annotated[str, Field(max_length=8)], BREAKING, SAFE),
    "longer texts": (Annotated[str, Field(max_length=9)], Annotated[str, Field(max_length=10)], SAFE, BREAKING),
    "no empty text any more": (str, Annotated[str, Field(min_length=1)], BREAKING, SAFE),
    "fewer items": (
        Annotated[list[int], Field(max_length=9)],
        Annotated[list[int], Field(max_length=8)],
        BREAKING,
        SAFE,
    ),
    "more items at least": (list[int], Annotated[list[int], Field(min_length=2)], BREAKING, SAFE),
    "another number of items": (tuple[int, int], tuple[int, int, int], BREAKING, BREAKING),
    "a pattern": (str, Annotated[str, Field(pattern="^a")], BREAKING, BREAKING),
    "another pattern": (Annotated[str, Field(pattern="^a")], Annotated[str, Field(pattern="^b")], BREAKING, BREAKING),
    "only multiples": (int, Annotated[int, Field(multiple_of=5)], BREAKING, BREAKING),
    "a value more": (Literal["a"], Literal["a", "b"], SAFE, BREAKING),
    "a value fewer": (Literal["a", "b"], Literal["a"], BREAKING, SAFE),
    "other values": (Literal["a"], Literal["b"], BREAKING, BREAKING),
    "any text, not some": (Literal["a", "b"], str, SAFE, BREAKING),
    "some texts, not any": (str, Literal["a", "b"], BREAKING, SAFE),
    "null too": (int, int | None, SAFE, BREAKING),
    "not null any more": (int | None, int, BREAKING, SAFE),
    "numbers, not only whole ones": (int, float, SAFE, BREAKING),
    "only whole numbers": (float, int, BREAKING, SAFE),
    "a text, not a number": (int, str, BREAKING, BREAKING),
    "a boolean, not a number": (int, bool, BREAKING, BREAKING),
    "a text too": (int, int | str, SAFE, BREAKING),
    "not a text any more": (int | str, int, BREAKING, SAFE),
    "a list of it": (int, list[int], BREAKING, BREAKING),
    "items of a wider type": (list[int], list[float], SAFE, BREAKING),
    "items of a narrower type": (list[float], list[int], BREAKING, SAFE),
    "an object, not a number": (float, Point, BREAKING, BREAKING),
    "an optional field inside": (Point, Point3, SAFE, SAFE),
    "a field fewer inside": (Point3, Point, BREAKING, BREAKING),
    "values of a wider type": (dict[str, int], dict[str, float], SAFE, BREAKING),
    "values of a narrower type": (dict[str, float], dict[str, int], BREAKING, SAFE),
    "values of any type": (dict[str, int], dict[str, Any], SAFE, BREAKING),
    "values of one type": (dict[str, Any], dict[str, int], BREAKING, SAFE),
    "no unnamed field any more": (Open, Closed, BREAKING, SAFE),
    "unnamed fields too": (Closed, Open, SAFE, SAFE),
    "a day, not any text": (str, date, BREAKING, BREAKING),
    "a time, not a day": (date, datetime, BREAKING, BREAKING),
    "anything": (int, Any, SAFE, BREAKING),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_each_change_of_a_fields_type_has_its_word_for_who_sends_rows_and_for_who_reads_answers(name: str) -> None:
    before, after, row, answer = MUTATIONS[name]
    old, new = (create_model("Row", it=(kind, ...)) for kind in (before, after))
    for side, word in (("row", row), ("answer", answer)):
        found = said(old, new, side)  # type: ignore[arg-type]
        assert found, side
        assert (BREAKING if any(one.startswith(BREAKING) for one in found) else SAFE) == word, (side, found)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Annotated[int, Field(description="years")], Annotated[int, Field(description="in years", examples=[3])]),
        (Annotated[int, Field(title="A")], int),
        (Annotated[int, Field(deprecated=True)], int),
        (int | None, None | int),
        (Literal["a", "b"], Literal["b", "a"]),
    ],
    ids=["description", "title", "deprecated", "null first", "order of values"],
)
def test_what_changes_no_value_is_no_change(before: Any, after: Any) -> None:
    assert said(create_model("Row", it=(before, ...)), create_model("Row", it=(after, ...))) == []


def test_a_removed_field_is_breaking_for_both() -> None:
    class After(BaseModel):
        age: Annotated[int, Field(ge=0, le=120)]
        kind: Literal["a", "b"]
        bmi: float

    assert said(Before, After) == ["breaking: row.note: removed"]
    assert said(Before, After, "answer") == ["breaking: answer.note: removed"]


def test_a_field_with_another_name_and_the_same_type_is_renamed() -> None:
    class After(BaseModel):
        years: Annotated[int, Field(ge=0, le=120, description="another sentence")]
        kind: Literal["a", "b"]
        bmi: float
        note: str | None = None

    assert said(Before, After) == ["breaking: row.years: renamed, was age"]


def test_a_row_that_refuses_fields_it_does_not_name_any_more_is_breaking() -> None:
    assert said(Open, Closed) == ["breaking: row: fields without a name in it are refused now"]
    assert said(Open, Closed, "answer") == ["safe: answer: fields without a name in it are refused now"]


def test_fields_of_nested_types_and_of_lists_are_named_by_their_path() -> None:
    class Item(BaseModel):
        price: float

    class Dearer(BaseModel):
        price: Annotated[float, Field(gt=1)]

    def cart(kind: type[BaseModel]) -> type[BaseModel]:
        return create_model("Cart", first=(kind, ...), items=(list[kind], ...))  # type: ignore[valid-type]

    assert said(cart(Item), cart(Dearer)) == [
        "breaking: row.first.price: above 1, was not limited",
        "breaking: row.items[].price: above 1, was not limited",
    ]


class Tree(BaseModel):
    value: int
    children: list[Tree] = []


def test_a_type_that_contains_itself_is_compared_once() -> None:
    assert said(Tree, Tree) == []
