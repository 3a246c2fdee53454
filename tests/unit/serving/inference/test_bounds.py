"""What a body may cost is bounded before it is validated, and what is legal stays legal."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, create_model

from fairlead.errors import Invalid
from fairlead.serving.formats.strict import strict
from fairlead.serving.inference import bounds, contract
from fairlead.serving.open_inference import interface
from support.small_models import manifest

LIMITS = bounds.Limits(values=1000, row_keys=100)


class Answer(BaseModel):
    """An answer; no test looks at it."""

    value: float


class Flat(BaseModel):
    """Numbers and a text."""

    a: float
    b: float = 0.0
    text: str = ""


class Mapping(BaseModel):
    """Any number of features, and a list."""

    features: dict[str, float] = {}
    values: list[float] = []


class Add(BaseModel):
    """A type that contains itself through a union."""

    left: Add | Times | int


class Times(BaseModel):
    """The other half of the union."""

    left: Add | Times | int


class Plus(BaseModel):
    """As `Add`, but its kind says which type it is."""

    kind: Literal["plus"]
    left: Annotated[Plus | Minus, Field(discriminator="kind")] | None = None


class Minus(BaseModel):
    """The other half of the union."""

    kind: Literal["minus"]
    left: Annotated[Plus | Minus, Field(discriminator="kind")] | None = None


def terms(row: type[BaseModel], limits: bounds.Limits = LIMITS, max_rows: int = 4096) -> contract.Contract:
    return contract.Contract(strict(row), Answer, max_rows, limits)


def refusal(decode: Callable[[bytes], Any], document: Any) -> tuple[tuple[str | int, ...], str]:
    """The place and the type of the only error."""
    with pytest.raises(Invalid) as caught:
        decode(document if isinstance(document, bytes) else json.dumps(document).encode())
    (detail,) = caught.value.details
    return detail.loc, detail.type


FLAT = terms(Flat)
TENSORS = interface.OpenInference(FLAT, manifest())
DECODERS = [FLAT.decode_one, FLAT.decode_many, FLAT.decode_instances, TENSORS.decode]


@pytest.mark.parametrize("decode", DECODERS, ids=["one row", "a list", "instances", "tensors"])
@pytest.mark.parametrize("element", [b"{}", b"[]", b"1,1,1,1", b'"",1,null,{}', b'{"a":1}'])
def test_a_body_with_too_many_values_is_refused_before_it_is_validated(
    decode: Callable[[bytes], Any], element: bytes
) -> None:
    many = b",".join([element] * 1000)
    for body in (b"[%b]", b'{"instances":[%b]}', b'{"inputs":[%b]}', b'{"a":[%b]}'):
        assert refusal(decode, body % many) == (("body",), "too_many_values")


@given(text=st.text(st.sampled_from('[]{}:,"\\aé'), min_size=3000, max_size=6000))
def test_marks_of_json_in_a_text_do_not_count(text: str) -> None:
    row = {"a": 1, "text": text}
    assert FLAT.decode_one(json.dumps(row).encode())
    assert FLAT.decode_many(json.dumps([row, row]).encode())
    assert FLAT.decode_instances(json.dumps({"instances": [row]}, ensure_ascii=False).encode())


@given(
    st.recursive(
        st.none() | st.integers() | st.text(st.sampled_from('[]{}:,"\\aé')),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.sampled_from(':,"\\a')), inner),
    )
)
def test_values_are_counted_as_the_document_has_them(document: Any) -> None:
    def values(part: Any) -> int:
        inside = list(part.values()) if isinstance(part, dict) else part if isinstance(part, list) else None
        return 0 if inside is None else bounds.CONTAINER_VALUES + max(0, len(inside) - 1) + sum(map(values, inside))

    row = create_model("Row", value=(Any, ...))
    body, limit = json.dumps({"value": document}).encode(), bounds.CONTAINER_VALUES + values(document)
    assert terms(row, bounds.Limits(values=limit)).decode_one(body)
    assert refusal(terms(row, bounds.Limits(values=limit - 1)).decode_one, body)[1] == "too_many_values"


@pytest.mark.parametrize("row", [Flat, Mapping])
def test_a_row_with_too_many_keys_is_refused_with_its_place(row: type[BaseModel]) -> None:
    many = {"a": 1} | {f"key{number}": 1 for number in range(101)}
    decode = terms(row)
    assert refusal(decode.decode_one, many) == (("body",), "too_many_keys")
    rows: list[dict[str, Any]] = [{} if row is Mapping else {"a": 1, "b": 2, "text": "x"}] * 70 + [many]
    assert refusal(decode.decode_many, rows) == (("body", 70), "too_many_keys")
    assert refusal(decode.decode_instances, {"instances": rows}) == (("body", "instances", 70), "too_many_keys")


def test_a_body_with_more_keys_than_its_rows_can_have_is_not_read() -> None:
    assert refusal(FLAT.decode_many, b'[{"a":1}, {' + b'"k":1,' * 200) == (("body",), "too_many_keys")


def test_unknown_keys_of_objects_in_a_row_are_counted_too() -> None:
    row = {"features": {f"key{number}": 1 for number in range(99)}, "values": []}
    assert terms(Mapping).decode_one(json.dumps({"features": row["features"]}).encode())
    assert refusal(terms(Mapping).decode_one, row) == (("body",), "too_many_keys")


def test_a_row_may_have_as_many_keys_as_its_type_has_fields() -> None:
    fields: dict[str, Any] = {f"f{number}": (float, ...) for number in range(300)}
    wide = terms(create_model("Wide", **fields), bounds.Limits(row_keys=100))
    row = dict.fromkeys(fields, 1.5)
    assert wide.decode_one(json.dumps(row).encode())
    assert len(wide.decode_many(json.dumps([row, row]).encode())) == 2


def test_large_bodies_of_known_keys_are_accepted_in_every_protocol() -> None:
    rows: list[dict[str, Any]] = [{"a": 1.0, "b": 2.0, "text": "a:b"}, {"a": 1.0}] * 30
    found = FLAT.decode_many(json.dumps(rows).encode())
    assert found == FLAT.decode_instances(json.dumps({"instances": rows}).encode())


@pytest.mark.parametrize("twice", [b'{"a":1,"a":1}', b'{"a":1,"z":1}', b'{"a":1,"\\u0061":1}'])
@pytest.mark.parametrize("text", ["x", "x:y", '"a"'])
def test_a_wrong_key_among_many_known_ones_is_found(twice: bytes, text: str) -> None:
    rows = json.dumps([{"a": 1.0, "b": 2.0, "text": text}] * 60).encode()
    with pytest.raises(Invalid):
        FLAT.decode_many(rows[:-1] + b"," + twice + b"]")
    with pytest.raises(Invalid):
        FLAT.decode_instances(b'{"instances":' + rows[:-1] + b"," + twice + b"]}")
    with pytest.raises(Invalid):
        FLAT.decode_instances(b'{"instances":' + rows + b',"z":1}')


def test_a_small_body_gets_all_its_errors_and_a_large_one_those_of_its_first_wrong_row() -> None:
    many = terms(Flat, bounds.Limits())
    wrong = [{"a": "x", "b": None}]
    for count, found in ((100, 200), (1000, 2)):
        with pytest.raises(Invalid, match=rf"\(and {found - 1} more\)"):
            many.decode_many(json.dumps(wrong * count).encode())


def test_a_long_list_in_a_row_ends_at_its_first_wrong_element() -> None:
    many = terms(Mapping, bounds.Limits())
    place = ("body", "values", 7)
    assert refusal(many.decode_one, {"values": [0] * 7 + ["x"] * 10_000}) == (place, "float_type")


def test_the_keys_of_json_text_in_a_tensor_are_counted() -> None:
    tensors = interface.OpenInference(terms(Mapping), manifest())
    features = json.dumps({f"key{number}": 1 for number in range(200)})
    inputs = [{"name": "features", "shape": [1], "datatype": "BYTES", "data": [features]}]
    assert refusal(tensors.decode, {"inputs": inputs}) == (("body", 0), "too_many_keys")


def test_a_type_that_contains_itself_through_a_union_is_bounded_by_depth() -> None:
    deep: Any = 1
    for _ in range(40):
        deep = {"left": deep}
    decode = terms(Add, bounds.Limits()).decode_one
    assert refusal(decode, deep) == (("body",), "too_deep")
    assert decode(b'{"left":{"left":{"left":1}}}')


def test_a_discriminated_union_may_be_deep() -> None:
    deep: Any = {"kind": "plus"}
    for _ in range(20):
        deep = {"kind": "minus", "left": deep}
    assert terms(Minus).decode_one(json.dumps(deep).encode())


def test_an_unknown_key_counts_once_for_each_alternative_of_a_union() -> None:
    kinds = [create_model(f"Kind{number}", **{f"f{number}": (float, ...)}) for number in range(10)]  # type: ignore[call-overload]
    row = create_model("Row", kind=(kinds[0] | kinds[1] | kinds[2] | kinds[3] | kinds[4] | kinds[5], ...))
    known = {"kind": {"f1": 1.0}}
    assert terms(row).decode_one(json.dumps(known).encode())
    unknown = {"kind": {f"key{number}": 1 for number in range(20)}}
    assert refusal(terms(row).decode_one, unknown) == (("body",), "too_many_keys")


def test_the_values_of_all_json_texts_in_a_tensor_are_bounded_together() -> None:
    tensors = interface.OpenInference(terms(Mapping), manifest())
    texts = [json.dumps([0.5] * 9)] * 300  # more rows than are read in one call
    inputs = [{"name": "values", "shape": [300], "datatype": "BYTES", "data": texts}]
    assert refusal(tensors.decode, {"inputs": inputs}) == (("body",), "too_many_values")
    assert (
        len(tensors.decode(json.dumps({"inputs": [{**inputs[0], "shape": [30], "data": texts[:30]}]}).encode()).rows)
        == 30
    )


def test_a_wrong_value_far_down_a_tensor_is_named_by_its_place() -> None:
    tensors = interface.OpenInference(terms(Flat, bounds.Limits()), manifest())
    data: list[Any] = [0.5] * 700
    data[600] = "x"
    inputs = [{"name": "a", "shape": [700], "datatype": "FP64", "data": data}]
    assert refusal(tensors.decode, {"inputs": inputs}) == (("body", "inputs", 0, "data", 600), "float_type")
