"""What `answer_shape` lets through and pydantic writes is read back as the type; what was validated is let through."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, NotRequired

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    PlainSerializer,
    RootModel,
    Secret,
    TypeAdapter,
    create_model,
)
from pydantic_core import PydanticSerializationError
from typing_extensions import TypedDict

from fairlead.serving.formats import answer_shape


class Part(BaseModel):
    share: float
    note: str | None = None


class Tree(BaseModel):
    name: Literal["root", "leaf"]
    inner: list[Tree] = []


class Numbers(RootModel[list[int]]):
    pass


class Words(RootModel[list[Literal["a"]] | None]):
    pass


class Parts(RootModel[RootModel[dict[str, Part]]]):
    pass


class Whole(RootModel[Part]):
    pass


class Colour(Enum):
    RED = "red"


class Coloured(BaseModel, use_enum_values=True):
    colours: list[Literal[Colour.RED]]


class Shaded(BaseModel, use_enum_values=True):
    colour: Colour


class Scores(TypedDict):
    best: float
    parts: NotRequired[list[Part]]


class Pair(NamedTuple):
    low: int
    high: int


class Named(NamedTuple):
    name: Literal["a"]
    part: Part


@dataclass
class Point:
    x: int


@dataclass
class Held:
    name: Literal["a"]
    part: Part
    start: InitVar[int] = 0


class Word(str):
    """A text of a class of its own, which pydantic writes as `{}` where a model should be."""

    __slots__ = ()


KNOWN: tuple[tuple[Any, Any], ...] = (
    *((Part, Part(share=0.5)), (list[Part], [Part(share=1)]), (dict[str, Part], {"a": Part(share=1)})),
    *((Part | None, None), (Part | int, 1), (Part | Numbers | None, Numbers([1])), (Part | dict[str, int], {"a": 1})),
    *((Tree, Tree(name="root", inner=[Tree(name="leaf")])), (Numbers, Numbers([1, 2]))),
    *((Scores, {"best": 0.5}), (Scores, {"best": 0.5, "parts": [Part(share=1)]}), (list[Scores], [])),
    *((Literal["a", 1], 1), (list[Literal["a", "b"]], ["b", "a"]), (Literal[True] | None, True)),
    *((tuple[Part, int], (Part(share=1), 2)), (tuple[Literal["a"], ...], ("a", "a")), (set[Literal[1, 2]], {1})),
    *((Annotated[Part, AfterValidator(lambda part: part)], Part(share=1)), (Point, Point(1)), (Pair, Pair(1, 2))),
    *((Colour, Colour.RED), (datetime, datetime(2026, 1, 1, tzinfo=UTC)), (Decimal, Decimal("0.5")), (Any, [1])),
    *((float, 1.5), (float, 1), (int, 1), (bool, True), (str, "a"), (list[int], [1]), (dict[str, float], {"a": 1.0})),
    (Annotated[Part, PlainSerializer(lambda part: part.share, return_type=float)], Part(share=1)),
    *((Part | Tree, Tree(name="leaf")), (Words, Words(None)), (Words, Words(["a"])), (Whole, Whole(Part(share=1)))),
    *((list[Parts], [Parts(RootModel[dict[str, Part]]({"a": Part(share=1)}))]), (dict[Literal["a"], int], {"a": 1})),
    *((Coloured, Coloured(colours=[Colour.RED])), (Shaded, Shaded(colour=Colour.RED)), (Secret[int], Secret(1))),
    *(
        (Sequence[Part], (Part(share=1),)),
        (Sequence[int], [1]),
        (deque[Part], deque([Part(share=1)])),
        (Sequence[Literal["a"]], ["a"]),
    ),
    *((OrderedDict[str, Part], OrderedDict(a=Part(share=1))), (Held, Held("a", Part(share=1), 3))),
    (Named, Named("a", Part(share=1))),
    *(
        (Annotated[float, Field(ge=0, le=1)], 0.5),
        (Annotated[int, Field(gt=0)], 1),
        (Annotated[str, Field(min_length=1, max_length=1)], "a"),
    ),
    *((Annotated[list[int], Field(min_length=1)], [1]), (Annotated[int, Field(multiple_of=2)], 2)),
    *((list[Annotated[float, Field(gt=1)]], [1.5]), (Annotated[int, Field(gt=0)] | str, "a")),
    *((Annotated[dict[str, float], Field(max_length=1)], {}), (Annotated[str, Field(pattern="^a")], "a")),
    *((Annotated[int | str, Field(max_length=1)], "a"), (Annotated[Sequence[int], Field(min_length=1)], [1])),
)
"""Types, each with a value of it."""
READ_BACK = [kind for kind, _ in KNOWN if "PlainSerializer" not in str(kind) and kind is not Secret[int]]
"""Those that are written as they are."""
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LACKING = Part.model_construct(note="a")  # type: ignore[call-arg]
TRUNK = Tree.model_construct(name="trunk")  # type: ignore[arg-type]
NOT_NUMBERS = Numbers.model_construct("a")  # type: ignore[arg-type]
WRONG = st.recursive(
    st.sampled_from(
        [
            *(Word("w"), np.float64(1.5), np.int64(1), Colour.RED, Point(1), Pair(1, 2), LACKING, Part(share=1)),
            *(TRUNK, Tree(name="leaf"), Numbers([1]), NOT_NUMBERS),
            *(None, True, 1, 1.5, "a", "b", b"a", Decimal(1), datetime(2026, 1, 1, tzinfo=UTC), {}, [], (), ...),
            *({"best": 1.0}, {"parts": []}, {"best": 1.0, "parts": [LACKING]}, object(), np.zeros(2)),
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from(["a", "best", "parts", 1]), inner, max_size=3)
    ),
    max_leaves=4,
)


def answered(kind: Any) -> type[BaseModel]:
    return create_model("Answer", value=(kind, ...))


def has_shape(answer: BaseModel) -> bool:
    return answer_shape.checker(TypeAdapter(type(answer)).core_schema)(answer)


def reads_back(answer_type: type[BaseModel], written: bytes) -> bool:
    try:
        answer_type.model_validate_json(written, strict=True)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(("kind", "value"), KNOWN, ids=str)
def test_an_answer_that_was_validated_has_the_shape_of_its_type(kind: Any, value: Any) -> None:
    assert has_shape(answered(kind)(value=value))


@given(kind=st.sampled_from(READ_BACK), value=WRONG)
def test_what_is_written_without_a_warning_and_has_the_shape_is_of_the_type(kind: Any, value: Any) -> None:
    answer_type = answered(kind)
    answer = answer_type.model_construct(value=value)
    try:
        written = TypeAdapter(answer_type).serializer.to_json(answer, warnings="error")
    except (PydanticSerializationError, ValueError):
        return
    if b"null" not in written and has_shape(answer):  # None is found by AnswerWriter
        assert reads_back(answer_type, written)


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (Part, LACKING, "'value.share', whose type has no such value: Field required"),
        (list[Part], [Part(share=1), LACKING], "'value.1.share', whose type has no such value: Field required"),
        (Part, Word("w"), "'value', whose type has no such value: Input should be a valid dictionary or instance of"),
        (dict[str, Part], {"a": Colour.RED}, "'value.a.share', whose type"),
        (
            Tree,
            TRUNK,
            "'value.name', whose type has no such value: Input should be 'root'",
        ),
        (list[Literal[1]], [1, 2], "'value.1', whose type has no such value: Input should be 1"),
        (list[Literal[1]], [True], "[True] in field 'value', whose type has no such value"),
        (Scores, {}, "'value.best', whose type has no such value: Field required"),
        (Whole, Whole.model_construct(LACKING), "'value.share', whose type has no such value: Field required"),
        (dict[Literal["a"], int], {"z": 1}, "in field 'value"),
        (Sequence[Part], [LACKING], "'value.0.share', whose type has no such value: Field required"),
        (Sequence[Literal["a"]], ("zz",), "in field 'value"),
        (Sequence[int], "w", "in field 'value"),
        (deque[Part], deque([LACKING]), "in field 'value"),
        (OrderedDict[str, Part], OrderedDict(a=LACKING), "in field 'value"),
        (Held, Held("z", Part(share=1)), "in field 'value"),  # type: ignore[arg-type]
        (Held, Held("a", LACKING), "in field 'value"),
        (Named, Named("z", Part(share=1)), "in field 'value"),  # type: ignore[arg-type]
        (Shaded, Shaded.model_construct(colour="nope"), "in field 'value"),  # type: ignore[arg-type]
        (Annotated[float, Field(ge=0, le=1)], 1.5, "'value', whose type has no such value: Input should be less than"),
        (Annotated[int, Field(gt=0)], 0, "Input should be greater than 0"),
        (Annotated[int, Field(multiple_of=5)], 7, "Input should be a multiple of 5"),
        (Annotated[Decimal, Field(max_digits=2)], Decimal("1.23"), "no more than 2 digits"),
        (Annotated[datetime, Field(ge=NOW)], NOW - timedelta(1), "Input should be greater than or equal to 2026"),
        (Annotated[timedelta, Field(gt=timedelta(0))], timedelta(0), "Input should be greater than 0 seconds"),
        (Annotated[str, Field(max_length=2)], "abc", "String should have at most 2 characters"),
        (Annotated[str, Field(pattern="^a")], "b", "String should match pattern '^a'"),
        (Annotated[list[int], Field(min_length=1)], [], "List should have at least 1 item"),
        (Annotated[tuple[int, ...], Field(min_length=2)], (1,), "Tuple should have at least 2 items"),
        (Annotated[set[int], Field(max_length=1)], {1, 2}, "Set should have at most 1 item"),
        (Annotated[dict[str, int], Field(min_length=1)], {}, "Dictionary should have at least 1 item"),
        (Annotated[Sequence[int], Field(max_length=1)], (1, 2), "Value should have at most 1 item"),
        (Annotated[float | None, Field(ge=0)], -1.0, "Input should be greater than or equal to 0"),
        (Annotated[int, Field(ge=0)] | str, -1, "Input should be greater than or equal to 0"),
        (list[Annotated[float, Field(ge=0)]], [1.0, -1.0], "'value.1', whose type has no such value"),
    ],
)
def test_the_fault_says_where_it_is(kind: Any, value: Any, said: str) -> None:
    answer = answered(kind).model_construct(value=value)
    assert not has_shape(answer)
    assert said in answer_shape.fault(answer)


def test_the_fault_names_a_field_that_is_missing() -> None:
    assert answer_shape.fault(LACKING) == "a Part without field 'share'"


def test_a_field_that_is_not_written_may_have_anything() -> None:
    class Hidden(BaseModel):
        label: str
        raw: Part = Field(exclude=True)

    values: Mapping[str, Any] = {"label": "a", "raw": Word("w")}
    assert has_shape(Hidden.model_construct(**values))


def test_an_answer_that_is_nested_deeper_than_python_can_follow_is_left_to_pydantic() -> None:
    tree = Tree(name="leaf")
    for _ in range(400):
        tree = Tree.model_construct(name="root", inner=[tree])
    assert has_shape(tree)


def test_a_field_whose_type_only_its_serializer_knows_hides_no_fault_of_another() -> None:
    class Arrays(BaseModel, arbitrary_types_allowed=True):
        array: Annotated[np.ndarray, PlainSerializer(lambda array: array.tolist(), return_type=list[float])]
        label: Literal["a"]

    values: Mapping[str, Any] = {"array": np.zeros(2), "label": "zz"}
    assert "in field 'label" in answer_shape.fault(Arrays.model_construct(**values))
