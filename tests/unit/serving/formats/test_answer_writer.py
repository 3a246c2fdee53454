"""Answer types whose schema would not say what answers look like are refused when the folder is read."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    WrapSerializer,
    computed_field,
    create_model,
    field_serializer,
    model_serializer,
)

from fairlead import errors
from fairlead.serving.formats.answer_writer import AnswerWriter


class ByField(BaseModel):
    x: float

    @field_serializer("x")
    def _write(self, x):  # type: ignore[no-untyped-def]
        return str(x)


class ByModel(BaseModel):
    x: float

    @model_serializer(mode="wrap")
    def _write(self, handler):  # type: ignore[no-untyped-def]
        return {"y": 1}


class ByAnnotation(BaseModel):
    x: Annotated[float, PlainSerializer(lambda x: str(x))]


class ByWrapping(BaseModel):
    x: Annotated[float, WrapSerializer(lambda x, handler: handler(x))]


@pytest.mark.parametrize("kind", [ByField, ByModel, ByAnnotation, ByWrapping])
@pytest.mark.parametrize("form", ["itself", "a field", "a list"])
def test_a_serializer_that_does_not_say_what_it_returns_is_refused(kind: type[BaseModel], form: str) -> None:
    holds: Any = {"a field": kind, "a list": list[kind]}.get(form)  # type: ignore[valid-type]
    answer = create_model("Holder", part=(holds, ...), __module__=__name__) if holds else kind
    with pytest.raises(errors.Invalid, match="the serializer .* does not say what it returns") as caught:
        AnswerWriter(answer)
    assert "Annotate what it returns" in (caught.value.hint or "")


def test_two_fields_of_one_name_in_json_are_refused() -> None:
    class Twice(BaseModel):
        x: float = Field(serialization_alias="z")

        @computed_field(alias="z")  # type: ignore[prop-decorator]
        @property
        def y(self) -> float:
            return 1.0

    with pytest.raises(errors.Invalid, match="Twice: two fields would be written as 'z'"):
        AnswerWriter(Twice)


def test_serializers_of_pydantic_itself_are_not_refused() -> None:
    class Secret(BaseModel):
        word: SecretStr

    assert AnswerWriter(Secret).one([Secret(word=SecretStr("a"))]) == b'{"word":"**********"}'


def test_a_subclass_is_written_as_the_declared_type() -> None:
    class Base(BaseModel):
        x: float

    class More(Base):
        y: float

    assert AnswerWriter(Base).many([More(x=1, y=2)]) == b'[{"x":1.0}]'


class Inner(BaseModel):
    y: float


class Sometimes(BaseModel):
    some: float | None = Field(default=None, exclude_if=lambda value: value is None)
    y: float


class Holding(BaseModel):
    pair: tuple[float, float] = (1.0, 2.0)
    either: list[float] | dict[str, float | None] = []
    inner: Inner | None = None
    some: float | None = None


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"pair": (None, 1.0)}, "pair"),
        ({"either": [None]}, "either"),
        ({"inner": Inner(y=1).model_copy(update={"y": None})}, "inner.y"),
    ],
)
def test_none_is_found_inside_tuples_and_unions_too(wrong: dict[str, object], place: str) -> None:
    writer = AnswerWriter(Holding)
    with pytest.raises(errors.ModelFailed, match=f"None in field '{place}', whose type has no None"):
        writer.many([Holding(), Holding().model_copy(update=wrong)])


def test_none_is_written_wherever_a_union_allows_it() -> None:
    answer = Holding(either={"a": None, "b": 1.0}, inner=Inner(y=1), some=None)
    assert AnswerWriter(Holding).documents([answer, Holding(some=1)]) == [
        answer.model_dump(mode="json") | {"pair": [1.0, 2.0]},
        Holding(some=1).model_dump(mode="json"),
    ]


@pytest.mark.parametrize("written", ["null", "constants", "strings"])
@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
@pytest.mark.parametrize("is_inside", [True, False])
def test_nan_is_refused_however_the_author_has_it_written(written: Any, value: float, is_inside: bool) -> None:
    plain = create_model("Answer", x=(float, ...), __config__=ConfigDict(ser_json_inf_nan=written))
    kind: type[BaseModel] = create_model("Outer", x=(plain, ...)) if is_inside else plain
    made = kind.model_validate({"x": {"x": value} if is_inside else value})
    with pytest.raises(errors.ModelFailed, match="NaN or infinity in field 'x"):
        AnswerWriter(kind).one([made])


def test_a_field_that_is_left_out_as_none_does_not_hide_a_nan() -> None:
    answer = Sometimes(some=None, y=float("nan"))
    with pytest.raises(errors.ModelFailed, match="NaN or infinity in field 'y'"):
        AnswerWriter(Sometimes).one([answer])
