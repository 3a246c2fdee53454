"""Numbers that clients send as another type than the one of the field, and the datatypes of fields."""

from __future__ import annotations

import json
import math
import re
from typing import Annotated, Any, Literal, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, RootModel, create_model

import fairlead
from fairlead.contracts.manifest import Datatype
from fairlead.serving.formats import datatypes
from fairlead.serving.formats.strict import strict
from fairlead.serving.inference import contract, tensors

PAIR = Annotated[list[float], Field(min_length=2, max_length=2)]
NUMBERS = [kind for kind in get_args(Datatype) if kind not in ("BYTES", "BOOL")]
SENT = [*datatypes.INTEGERS, *datatypes.EXACT]
VALUES = st.integers(-(2**70), 2**70) | st.floats() | st.integers(-300, 300) | st.integers(2**53 - 2, 2**53 + 2)
TERMS = {
    kind: contract.Contract(strict(create_model("Row", n=(datatypes.field_type(kind), ...))), BaseModel, 1)
    for kind in NUMBERS
}

MISSING = contract.Contract(strict(create_model("Row", n=(float | None, ...))), BaseModel, 1)


@given(declared=st.sampled_from(NUMBERS), datatype=st.sampled_from(SENT), value=VALUES)
def test_a_number_of_another_type_keeps_its_value_or_is_refused(
    declared: Any, datatype: str, value: int | float
) -> None:
    terms = TERMS[declared]
    (field,) = terms.fields
    assert (field.datatype, field.takes(datatype)) == (declared, True)
    try:
        (read,) = tensors.values(field, [value], 1, ("data",), datatype)
        (row,) = terms.decode_objects([{"n": read}])
    except fairlead.errors.Invalid:
        assert not _is_held(value, declared, datatype)
        return
    found = row.n  # type: ignore[attr-defined]
    assert type(found) is (int if declared in datatypes.INTEGERS else float)
    if datatype in datatypes.EXACT and isinstance(found, float):  # JSON may write a float without a point
        value = float(value)
    assert found == value


MIXED = st.lists(VALUES, max_size=4) | st.lists(st.integers(0, 99), max_size=4) | st.lists(st.floats(), max_size=4)
OTHERS = st.none() | st.booleans() | st.sampled_from(["1", math.nan, 2.0])


@given(
    kind=st.sampled_from([*TERMS, "missing"]),
    datatype=st.sampled_from(SENT),
    data=MIXED,
    more=st.lists(OTHERS, max_size=1),
)
def test_many_elements_are_read_as_each_of_them_alone(
    kind: Any, datatype: str, data: list[Any], more: list[Any]
) -> None:
    (field,) = MISSING.fields if kind == "missing" else TERMS[kind].fields

    def read(elements: list[Any]) -> str:
        try:
            return repr(tensors.values(field, elements, len(elements), ("data",), datatype))
        except fairlead.errors.Invalid as problem:
            return problem.details[0].type

    alone = [read([value]) for value in data + more]
    wrong = [found for found in alone if not found.startswith("[")]
    assert read(data + more) == (wrong[0] if wrong else f"[{', '.join(found[1:-1] for found in alone)}]")


NESTED = st.recursive(st.integers(0, 3), lambda inner: st.lists(inner, max_size=3), max_leaves=12)


@given(data=st.lists(NESTED, max_size=3), shape=st.lists(st.integers(0, 3), min_size=1, max_size=3))
def test_nested_data_is_flattened_only_if_it_has_the_shape(data: list[Any], shape: list[int]) -> None:
    wanted = np.zeros(shape).tolist()
    try:
        found = tensors.flat(data, tuple(shape), ("data",))
    except fairlead.errors.Invalid:
        assert _form(data) != _form(wanted)
        assert any(isinstance(part, list) for part in data) or len(data) != math.prod(shape)
        return
    assert len(found) == math.prod(shape)
    assert not any(isinstance(value, list) for value in found)
    assert str(found).replace("[", "").replace("]", "") == ", ".join(re.findall(r"\d", str(data)))


def _form(data: Any) -> Any:
    """Nested lists without their elements."""
    return [_form(part) for part in data] if isinstance(data, list) else 0


def _is_held(value: int | float, declared: str, datatype: str) -> bool:
    """Whether a value is one of the type it was sent as, and one of the declared type."""
    if not math.isfinite(value) or (datatype in datatypes.INTEGERS and isinstance(value, float)):
        return False
    if datatype in datatypes.INTEGERS:
        low, high = datatypes.INTEGERS[datatype]
        if not low <= value <= high:
            return False
    if declared in datatypes.INTEGERS:
        low, high = datatypes.INTEGERS[declared]
        return low <= value <= high and value == int(value)
    if datatype in datatypes.INTEGERS:
        return abs(value) <= datatypes.EXACT[declared]
    return abs(value) <= datatypes.LARGEST.get(declared, math.inf)


@pytest.mark.parametrize("datatype", ["BOOL", "BYTES", "FP128", "fp64"])
def test_what_is_no_type_of_number_is_refused_for_a_number(datatype: str) -> None:
    for terms in TERMS.values():
        assert not terms.fields[0].takes(datatype)


@pytest.mark.parametrize(
    ("kind", "datatype"),
    [
        (Annotated[int, Field(ge=0, le=255, json_schema_extra={"format": "uint8"})], "UINT8"),
        (Annotated[int, Field(json_schema_extra={"format": "int32"})], "INT64"),
        (Annotated[float, Field(json_schema_extra={"format": "float"})], "FP64"),
        (Annotated[int, Field(ge=0, le=2**64 - 1)], "UINT64"),
        (Literal[1, 2], "INT64"),
        (Annotated[int, Field(ge=0, le=9)] | None, "INT64"),
    ],
)
def test_a_format_is_the_datatype_only_where_the_bounds_are_those_of_the_datatype(kind: Any, datatype: str) -> None:
    (found,) = tensors.of(create_model("Row", n=(kind, ...)), "validation", whole="row")
    assert found.datatype == datatype


def test_a_list_of_declared_numbers_has_their_datatype() -> None:
    element: Any = datatypes.field_type("FP32")
    kind: Any = Annotated[list[element], Field(min_length=2, max_length=2)]
    (found,) = tensors.of(create_model("Row", n=(kind, ...)), "validation", whole="row")
    assert (found.datatype, found.shape) == ("FP32", (2,))


class Inner(BaseModel):
    x: float


@pytest.mark.parametrize(
    ("root", "named"),
    [(dict[str, float], [("row", "BYTES")]), (list[float], [("row", "BYTES")]), (Inner, [("x", "FP64")])],
)
def test_a_row_without_fixed_fields_is_one_tensor_of_json(root: Any, named: list[Any]) -> None:
    found = tensors.of(RootModel[root], "validation", whole="row")
    assert [(tensor.name, tensor.datatype) for tensor in found] == named
    assert all(tensor.json == tensor.whole == (tensor.name == "row") for tensor in found)


def test_a_column_of_rows_without_fixed_fields_is_their_json() -> None:
    whole = tensors.Tensor("row", "BYTES", json=True, whole=True)
    assert [json.loads(text) for text in tensors.column(whole, [{"a": 2**70}, [1.5]])] == [{"a": 2**70}, [1.5]]


@pytest.mark.parametrize(
    ("tensor", "document", "complaint"),
    [
        (tensors.Tensor("n", "INT64"), {}, "without 'n'"),
        (tensors.Tensor("n", "INT64"), {"n": 2**63}, "returned 9223372036854775808 in field 'n', which INT64 does not"),
        (tensors.Tensor("n", "UINT8", (2,)), {"n": [1, 256]}, "returned 256 in field 'n'"),
        (tensors.Tensor("n", "FP64", (2, 2)), {"n": [[1.0, 2.0], [3.0]]}, "returned 1 values in field 'n', not 2"),
    ],
)
def test_an_answer_that_is_not_as_the_tensor_says_is_a_failure(
    tensor: tensors.Tensor, document: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(fairlead.errors.ModelFailed, match=complaint):
        tensors.answered(tensor, [document])


@pytest.mark.parametrize("given", [[], [1.0], [1.0, 2.0, 3.0]])
def test_a_list_of_another_length_than_its_tensor_is_a_failure_also_an_empty_one(given: list[float]) -> None:
    (tensor,) = tensors.of(create_model("Answer", v=(PAIR, ...)), "serialization", whole="answer")
    assert tensor.shape == (2,)
    with pytest.raises(fairlead.errors.ModelFailed, match=f"returned {len(given)} values in field 'v', not 2"):
        tensors.answered(tensor, [{"v": [1.0, 2.0]}, {"v": given}])


@pytest.mark.parametrize(("shape", "row"), [((0,), []), ((2, 0), [[], []]), ((0, 2), []), ((2, 2), [[1, 2], [3, 4]])])
def test_the_values_of_a_tensor_have_its_shape_also_if_that_has_no_elements(
    shape: tuple[int, ...], row: list[Any]
) -> None:
    tensor = tensors.Tensor("n", "FP64", shape)
    data = tensors.column(tensor, [{"n": row}] * 3)
    assert tensors.values(tensor, data, 3, ("data",)) == [row] * 3
