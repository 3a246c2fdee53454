from __future__ import annotations

import dataclasses
import datetime
import enum
from typing import Annotated, Any, Literal

import annotated_types
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    ValidationError,
    create_model,
    field_validator,
)
from typing_extensions import TypedDict

from fairlead import errors
from fairlead.serving.formats import datatypes
from fairlead.serving.formats.strict import strict


class Part(BaseModel):
    """A part."""

    size: float = Field(gt=0, description="cm")

    @field_validator("size")
    @classmethod
    def _is_not_thirteen(cls, size: float) -> float:
        if size == 13:
            raise ValueError("unlucky")
        return size


class Tree(BaseModel):
    value: int
    branches: list[Tree] = []


class Parts(RootModel[list[Part]]):
    pass


class Row(BaseModel):
    """What the author wrote."""

    model_config = ConfigDict(extra="allow", title="A row")

    part: Part
    parts: list[Part] = []
    named: dict[str, Annotated[Part, Field(description="inner")]] = {}
    maybe: Part | None = None
    root: Parts = Parts([])
    tree: Tree | None = None
    kind: Literal["a", "b"] = "a"
    alias: float = Field(default=0, alias="Alias")
    day: datetime.date | None = None


STRICT = strict(Row)


def errors_of(body: str) -> list[tuple[tuple[Any, ...], str]]:
    with pytest.raises(ValidationError) as caught:
        STRICT.model_validate_json(body)
    return [(error["loc"], error["type"]) for error in caught.value.errors()]


@pytest.mark.parametrize(
    ("body", "loc", "kind"),
    [
        ('{"part": {"size": 1}, "more": 1}', ("more",), "extra_forbidden"),
        ('{"part": {"size": "1"}}', ("part", "size"), "float_type"),
        ('{"part": {"size": true}}', ("part", "size"), "float_type"),
        ('{"part": {"size": NaN}}', ("part", "size"), "finite_number"),
        ('{"part": {"size": 1e999}}', ("part", "size"), "finite_number"),
        ('{"part": {"size": 0}}', ("part", "size"), "greater_than"),
        ('{"part": {"size": 13}}', ("part", "size"), "value_error"),
        ('{"part": {"size": 1, "x": 1}}', ("part", "x"), "extra_forbidden"),
        ('{"part": {"size": 1}, "parts": [{"size": "1"}]}', ("parts", 0, "size"), "float_type"),
        ('{"part": {"size": 1}, "named": {"k": {"size": 1, "x": 1}}}', ("named", "k", "x"), "extra_forbidden"),
        ('{"part": {"size": 1}, "maybe": {"size": 1, "x": 1}}', ("maybe", "x"), "extra_forbidden"),
        ('{"part": {"size": 1}, "root": [{"size": 1, "x": 1}]}', ("root", 0, "x"), "extra_forbidden"),
        (
            '{"part": {"size": 1}, "tree": {"value": 1, "branches": [{"value": 1, "branches": [{"value": "1"}]}]}}',
            ("tree", "branches", 0, "branches", 0, "value"),
            "int_type",
        ),
        ('{"part": {"size": 1}, "kind": "c"}', ("kind",), "literal_error"),
        ('{"part": {"size": 1}, "Alias": "0"}', ("Alias",), "float_type"),
    ],
)
def test_values_that_a_plain_model_would_accept_are_errors_with_their_path(
    body: str, loc: tuple[Any, ...], kind: str
) -> None:
    assert errors_of(body) == [(loc, kind)]


def test_rows_are_instances_of_the_author_s_classes_at_any_depth() -> None:
    row = STRICT.model_validate_json('{"part": {"size": 1}, "tree": {"value": 1, "branches": [{"value": 2}]}}')
    assert isinstance(row, Row)
    assert isinstance(row.part, Part)
    assert row.tree is not None
    assert isinstance(row.tree.branches[0], Tree)


def test_dates_are_accepted_in_their_json_form() -> None:
    row = STRICT.model_validate_json('{"part": {"size": 1}, "day": "2026-01-31"}')
    assert isinstance(row, Row)
    assert row.day == datetime.date(2026, 1, 31)


def test_the_author_s_type_is_not_changed() -> None:
    assert Row.model_validate_json('{"part": {"size": "1"}, "more": 1}').part.size == 1


def test_name_title_and_descriptions_of_the_author_are_kept() -> None:
    schema = STRICT.model_json_schema()
    assert (STRICT.__name__, schema["title"], schema["description"]) == ("Row", "A row", "What the author wrote.")
    assert schema["$defs"]["Part"]["properties"]["size"]["description"] == "cm"


def test_the_json_schema_forbids_additional_properties() -> None:
    schema = STRICT.model_json_schema()
    assert schema["additionalProperties"] is False
    assert [schema["$defs"][name]["additionalProperties"] for name in ("Part", "Tree")] == [False, False]


def test_strict_is_idempotent() -> None:
    assert strict(STRICT).model_json_schema() == STRICT.model_json_schema()


def test_a_field_with_its_own_strict_setting_keeps_it() -> None:
    class Lenient(BaseModel):
        number: float = Field(strict=False)

    assert strict(Lenient).model_validate_json('{"number": "1.5"}').model_dump() == {"number": 1.5}


INT64, UINT64 = datatypes.INTEGERS["INT64"], datatypes.INTEGERS["UINT64"]
JUST = datatypes.IN_FLOAT64


@pytest.mark.parametrize(
    ("kind", "integers", "least", "most"),
    [
        (int, INT64, *INT64),
        (Annotated[int, Field(ge=0)], INT64, 0, INT64[1]),
        (Annotated[int, Field(ge=0, le=UINT64[1])], INT64, *UINT64),
        (Annotated[int, Field(ge=0, le=2**70)], INT64, 0, INT64[1]),
        (Annotated[int, Field(gt=-5, lt=5)], INT64, -4, 4),
        (Annotated[int, annotated_types.Interval(ge=-5, le=2**70)], INT64, -5, INT64[1]),
        (int, JUST, *JUST),
        (Annotated[int, Field(ge=-1, le=2**60)], JUST, -1, JUST[1]),
    ],
)
@pytest.mark.parametrize("form", ["field", "item", "value", "optional"])
def test_an_integer_has_the_bits_that_arrays_have_wherever_it_is(
    kind: Any, integers: Any, least: int, most: int, form: str
) -> None:
    annotation: Any = {"field": kind, "item": list[kind], "value": dict[str, kind], "optional": kind | None}[form]
    kind = strict(create_model("Counted", n=(annotation, ...)), integers)
    wrapped: Any = {"item": lambda n: [n], "value": lambda n: {"k": n}}.get(form, lambda n: n)
    for n in (least, most):
        assert kind.model_validate({"n": wrapped(n)}).model_dump() == {"n": wrapped(n)}
    for n in (least - 1, most + 1):
        with pytest.raises(ValidationError, match="Input should be (less|greater) than"):
            kind.model_validate({"n": wrapped(n)})


def test_a_field_that_is_taken_out_of_another_one_is_an_error_that_says_why() -> None:
    class Taken(BaseModel):
        number: float = Field(validation_alias=AliasChoices("n", AliasPath("numbers", 0)))

    with pytest.raises(errors.Invalid, match=r"Taken\.number: an AliasPath takes the field out of another one"):
        strict(Taken)


@dataclasses.dataclass
class Plain:
    size: float


class Typed(TypedDict):
    size: float


@pytest.mark.parametrize("kind", [Plain, Typed, list[Plain]])
def test_a_type_that_cannot_be_made_strict_is_an_error_that_names_it(kind: Any) -> None:
    class Holder(BaseModel):
        part: kind

    with pytest.raises(errors.Invalid, match=r"Holder\.part: (Plain|Typed) is a") as caught:
        strict(Holder)
    assert caught.value.hint == "Write it as a pydantic BaseModel."


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=1e-300).filter(lambda x: x != 13))
def test_every_finite_number_in_range_is_accepted_unchanged(size: float) -> None:
    row = STRICT.model_validate_json(f'{{"part": {{"size": {size!r}}}}}')
    assert isinstance(row, Row)
    assert row.part.size == size


class Grade(enum.Enum):
    LOW = 0
    HIGH = 1


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Truth(enum.Enum):
    YES = True


class Half(enum.Enum):
    HALF = 0.5
    WHOLE = 1.0


class Known(enum.Enum):
    """Has a name for every other number."""

    ONE = 1
    OTHER = -1

    @classmethod
    def _missing_(cls, value: object) -> Known | None:
        return cls.OTHER if type(value) is int else None


FEW: dict[str, tuple[Any, str]] = {  # each with the JSON texts that it accepts, and no others
    "a number": (Literal[1], "1"),
    "two numbers": (Literal[0, 1], "0 1"),
    "a truth": (Literal[True], "true"),
    "a truth or none": (Literal[False, None], "false null"),
    "a number or a truth": (Literal[1, False], "1 false"),
    "a text or a number": (Literal["1", 2], '"1" 2'),
    "texts": (Literal["1", "a"], '"1" "a"'),
    "a number or none": (Literal[1] | None, "1 null"),
    "an enum": (Grade, "0 1"),
    "an enum of integers": (Level, "1 2"),
    "an enum of truths": (Truth, "true"),
    "an enum of numbers": (Half, "0.5 1.0 1"),
    "an enum with other names": (Known, "1 -1 0 2"),
    "an enum in a Literal": (Literal[Grade.HIGH], "1"),
    "in an Annotated": (Annotated[Literal[1], Field(description="one")], "1"),
}
TEXTS = ["0", "1", "2", "-1", "0.0", "1.0", "2.0", "0.5", "true", "false", "null", '"1"', '"a"', '"true"']


@pytest.mark.parametrize("kind", FEW)
@pytest.mark.parametrize("inside", ["{}", "[{}]", '{{"key": {}}}'])
def test_a_type_with_few_values_accepts_those_and_nothing_that_only_python_calls_equal(kind: str, inside: str) -> None:
    annotation, texts = FEW[kind]
    nested = {"{}": annotation, "[{}]": list[annotation]}.get(inside, dict[str, annotation])  # type: ignore[valid-type]
    row = strict(create_model("Row", f=(nested, ...)))

    def accepts(text: str) -> bool:
        try:
            row.model_validate_json(f'{{"f": {inside.format(text)}}}')
        except ValidationError:
            return False
        return True

    assert {text for text in TEXTS if accepts(text)} == set(texts.split())


def test_a_union_takes_the_type_that_the_value_has_in_json() -> None:
    row = strict(create_model("Row", f=(Literal[1] | bool | float, ...)))
    found = [row.model_validate_json(f'{{"f": {text}}}').f for text in ("1", "1.0", "true")]  # type: ignore[attr-defined]
    assert list(map(type, found)) == [int, float, bool]


def test_the_schema_of_a_type_with_few_values_stays_as_it_is() -> None:
    author = create_model("Row", one=(Literal[1], 1), grade=(Grade | None, None), many=(list[Literal[True]], []))
    found, stated = (kind.model_json_schema() for kind in (strict(author), author))
    assert (found["properties"], found["$defs"]) == (stated["properties"], stated["$defs"])


class Circle(BaseModel):
    kind: Literal[1]
    radius: float


class Square(BaseModel):
    kind: Literal[2]
    side: float


def test_a_number_may_tell_the_types_of_a_union_apart() -> None:
    row = strict(create_model("Row", f=(Circle | Square, Field(discriminator="kind"))))
    found = row.model_validate_json('{"f": {"kind": 2, "side": 1}}')
    assert isinstance(found.f, Square)  # type: ignore[attr-defined]


def test_values_beside_the_tags_of_a_union_are_still_looked_at() -> None:
    row = strict(create_model("Row", f=(Circle | Square, Field(discriminator="kind")), one=(Literal[1], ...)))
    with pytest.raises(ValidationError):
        row.model_validate_json('{"f": {"kind": 2, "side": 1}, "one": true}')


def test_tags_of_unions_inside_of_unions_may_be_numbers() -> None:
    inner = create_model("Inner", kind=(Literal[3], ...), f=(Circle | Square, Field(discriminator="kind")))
    row = strict(create_model("Row", f=(Circle | inner, Field(discriminator="kind"))))
    assert row.model_validate_json('{"f": {"kind": 3, "f": {"kind": 1, "radius": 1}}}')
