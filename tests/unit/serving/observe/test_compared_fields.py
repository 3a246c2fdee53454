"""The class and the score that are read from an answer, and the description of its fields."""

from __future__ import annotations

import enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, create_model

from fairlead.serving.observe.compared_fields import MAX_LABEL_CHARS, LabelAndScore, Reader


class Colour(enum.Enum):
    RED = "red"


class Parts(BaseModel):
    a: float
    b: float


def read(kind: Any, value: Any, **more: Any) -> LabelAndScore:
    """Read an answer with a field `label` of this type, and further fields."""
    fields: dict[str, Any] = {"label": (kind, ...), **{name: (type_, ...) for name, (type_, _) in more.items()}}
    answer = create_model("Answer", **fields)
    values = {name: value for name, (_, value) in more.items()}
    return Reader(answer).read(answer.model_validate({"label": value, **values}))


@pytest.mark.parametrize(
    ("kind", "value", "label"),
    [
        (Literal["low", "high"], "high", "high"),
        (Annotated[Literal["low", "high"], Field(description="how")], "low", "low"),
        (Colour, "red", "red"),
        (bool, True, "True"),
        (int, 3, "3"),
        (str, "spam", "spam"),
        (Literal["a"] | None, None, None),
    ],
)
def test_the_class_is_the_value_of_a_field_with_fixed_values(kind: Any, value: Any, label: str | None) -> None:
    assert read(kind, value) == LabelAndScore(label, None)


@pytest.mark.parametrize(
    ("kind", "value", "score"),
    [
        (float, 0.25, 0.25),
        (Parts, {"a": 0.2, "b": 0.8}, 0.8),
        (dict[str, float], {"a": 0.7, "b": 0.3}, 0.7),
        (dict[str, float], {}, None),
        (list[float], [0.1, 0.9], 0.9),
        (float | None, None, None),
        (float, float("nan"), None),
        (int, 10**400, None),
        (str, "text", None),
    ],
)
def test_the_score_is_the_first_other_field_with_a_number(kind: Any, value: Any, score: float | None) -> None:
    assert read(Literal["a"], "a", other=(kind, value)).score == score


def test_text_is_a_class_only_in_a_field_with_a_known_name() -> None:
    translated = create_model("Translated", text=(str, ...))
    assert Reader(translated).read(translated(text="hallo")) == LabelAndScore(None, None)


def test_a_long_label_is_shortened_and_invalid_unicode_is_replaced() -> None:
    assert len(read(str, "x" * 1000).label or "") == MAX_LABEL_CHARS
    answer = create_model("Answer", label=(str, ...))
    assert Reader(answer).read(answer.model_construct(label="\ud800")).label == "?"


def test_fields_are_named_with_their_types_and_without_bounds_or_texts() -> None:
    class Answer(BaseModel):
        label: Literal["b", "a"] = Field(description="which")
        parts: Parts
        many: list[float]
        maybe: int | None = None

    class Other(BaseModel):
        label: Literal["a", "b"]
        parts: Parts
        many: list[float] = Field(max_length=9)
        maybe: Annotated[int | None, Field(ge=0)] = None

    assert Reader(Answer).fields == Reader(Other).fields
    assert Reader(Answer).fields == {
        "label": "string",
        "parts": "object",
        "parts.a": "number",
        "parts.b": "number",
        "many": "array of number",
        "maybe": "integer|null",
    }


@pytest.mark.parametrize(
    ("kind", "value", "entropy"),
    [
        (list[float], [0.5, 0.25, 0.25], 1.5),
        (dict[str, float], {"a": 1.0, "b": 0.0}, 0.0),
        (Parts, {"a": 0.5, "b": 0.5}, 1.0),
        (float, 0.5, None),
        (list[float], [0.9, 0.9], None),
        (list[float], [-0.5, 1.5], None),
        (list[float], [1.0], None),
        (list[float], [float("nan"), 1.0], None),
        (list[float], [0.005] * 200, None),
        (list[float] | None, None, None),
    ],
)
def test_the_entropy_is_that_of_probabilities_that_add_up_to_one(kind: Any, value: Any, entropy: float | None) -> None:
    fields: dict[str, Any] = {"label": (Literal["a", "b"], ...), "shares": (kind, ...)}
    answer = create_model("Answer", **fields)
    found = Reader(answer).measured(answer.model_validate({"label": "a", "shares": value}))
    assert found["entropy"] == entropy
    assert found["label"] == "a"


def test_what_an_author_put_in_the_place_of_probabilities_has_no_entropy() -> None:
    answer = create_model("Answer", shares=(list[float], ...))
    assert Reader(answer).measured(answer.model_construct(shares=["much", None]))["entropy"] is None
    assert Reader(answer).measured(answer.model_construct())["entropy"] is None
