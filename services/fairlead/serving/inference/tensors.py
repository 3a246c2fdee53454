"""Open Inference Protocol tensors for a row type: one tensor per field, and conversion between rows and columns.

The tensors are derived from the type's JSON schema, which the docs page shows too. A number is FP64 and an integer
INT64, also if it may be missing: null then, or NaN. It has another datatype if its `format` says so (`int32`, `float`)
and its bounds are those of the datatype. Text, and every type that JSON writes as text, is BYTES. A list of fixed
length is a second dimension. A field without a tensor form (a nested object, a list of any length) is BYTES; each
element is then JSON text. A row or an answer without fixed fields is one such tensor.

A client may send any type of number for a number, if the value stays the same: FP32 for FP64, or INT32 for INT64. Only
that is decided here. The row's own schema reads the values, so every protocol accepts the same ones.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pydantic_core
from pydantic import BaseModel

from fairlead import errors
from fairlead.serving.formats.datatypes import EXACT, FORMATS, INT64, INTEGERS, LARGEST
from fairlead.serving.inference import duplicates
from fairlead.serving.inputs.image_field import MEDIA

_DATATYPES = {"boolean": "BOOL", "string": "BYTES"}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One field as a tensor. `shape` excludes the batch dimension. If `json` is set, the elements are JSON text.

    `nullable`: the field is one element, or null. `whole`: the elements are rows or answers, not fields of them.
    `is_file`: each element is a file, in JSON as base64 and in binary form as it is.
    """

    name: str
    datatype: str
    shape: tuple[int, ...] = ()
    required: bool = True
    json: bool = False
    nullable: bool = False
    whole: bool = False
    is_file: bool = False

    @property
    def is_number(self) -> bool:
        """Whether the elements are numbers."""
        return self.datatype in INTEGERS or self.datatype in EXACT

    def takes(self, datatype: str) -> bool:
        """Whether the elements may be sent as this type."""
        if (
            self.nullable and self.is_number and datatype == "BYTES"
        ):  # JSON text, as such fields were sent before they had a datatype
            return True
        return datatype == self.datatype or (self.is_number and (datatype in INTEGERS or datatype in EXACT))


def of(schema_type: type[BaseModel], mode: Literal["validation", "serialization"], *, whole: str) -> tuple[Tensor, ...]:
    """The tensors of a type, in the order of its fields, by their names in JSON.

    A type without fixed fields (a RootModel, a `@model_serializer` that returns a dict) is one tensor named `whole`.
    """
    schema = schema_type.model_json_schema(mode=mode)
    definitions = schema.get("$defs", {})
    schema = _resolved(schema, definitions)  # a type that contains itself, or a RootModel of another one
    if "properties" not in schema and (schema_type.model_fields or schema.get("type") != "object"):
        return (Tensor(whole, "BYTES", json=True, whole=True),)
    required = schema.get("required", ())
    return tuple(
        _tensor(name, part, definitions, name in required) for name, part in schema.get("properties", {}).items()
    )


def _tensor(name: str, part: dict[str, Any], definitions: dict[str, Any], required: bool) -> Tensor:
    shape: list[int] = []
    part = _resolved(part, definitions)
    if single := _single_or_null(part, definitions):
        return Tensor(name, single, (), required, nullable=True)
    while part.get("type") == "array" and part.get("minItems") == part.get("maxItems") is not None:
        shape.append(part["minItems"])
        items = part.get("items") or (part.get("prefixItems") or [{}])[0]
        if any(other != items for other in part.get("prefixItems", ())):
            return Tensor(name, "BYTES", (), required, json=True)
        part = _resolved(items, definitions)
    datatype = _number(part) or _DATATYPES.get(part.get("type", ""))
    if datatype is None:
        return Tensor(name, "BYTES", (), required, json=True)
    return Tensor(name, datatype, tuple(shape), required, is_file=MEDIA in part)


def _resolved(part: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    reference = part.get("$ref")
    return part if reference is None else definitions[reference.rpartition("/")[2]]


def _number(part: dict[str, Any]) -> str | None:
    """The datatype of a number. None for any other part of a schema."""
    kind, named = part.get("type"), FORMATS.get(part.get("format", ""), "")
    low, high = part.get("minimum", -math.inf), part.get("maximum", math.inf)
    if kind == "number":
        largest = LARGEST.get(named, -math.inf)
        return named if low >= -largest and high <= largest else "FP64"
    if kind != "integer":
        return None
    if named in INTEGERS and INTEGERS[named][0] <= low and high <= INTEGERS[named][1]:
        return named
    return "UINT64" if low >= 0 and INT64[1] < high <= INTEGERS["UINT64"][1] else "INT64"


def _single_or_null(part: dict[str, Any], definitions: dict[str, Any]) -> str | None:
    """The datatype of a number that may be null, or of a text or boolean whose schema says `nullable`; else None.

    Without that word a text or a boolean is JSON text, as a `str | None` of a class has always been sent.
    """
    options = [_resolved(option, definitions) for option in part.get("anyOf", ())]
    others = [option for option in options if option.get("type") != "null"]
    if len(options) != 2 or len(others) != 1:
        return None
    said = _DATATYPES.get(others[0].get("type", "")) if part.get("nullable") else None
    return _number(others[0]) or said


def values(
    tensor: Tensor,
    data: Sequence[Any],
    rows: int,
    loc: tuple[str | int, ...],
    datatype: str | None = None,
    first: int = 0,
    step: int = 1,
) -> list[Any]:
    """Split a tensor's data, flat or nested, in row-major order, into one value per row. Raises Invalid at `loc`.

    `datatype` is the type that the client sent, if it is another one. An error names the element by its place in the
    request: it is `first` for the first one, and grows by `step`.
    """
    checked = flat(data, (rows, *tensor.shape), loc)
    sent = datatype or tensor.datatype
    if (read := _reader(tensor, sent)) is not None and not _stay(tensor, sent, checked):
        checked = [read(value, (*loc, first + index * step)) for index, value in enumerate(checked)]
    for depth, size in reversed(list(enumerate(tensor.shape))):
        count = rows * math.prod(tensor.shape[:depth])  # not from the elements: there are none where a size is 0
        checked = [checked[place * size : (place + 1) * size] for place in range(count)]
    return checked


def flat(data: Sequence[Any], shape: tuple[int, ...], loc: tuple[str | int, ...]) -> list[Any]:
    """The elements of flat or nested data of this shape, in row-major order. Raises Invalid at `loc`."""
    elements = _flat_at_once(data, shape)
    if elements is None:
        elements = list(_flat(data, shape, loc))
    if len(elements) != math.prod(shape):
        raise errors.Invalid.at(loc, f"{len(elements)} elements do not fill shape {list(shape)}", "element_count")
    return elements


def _flat_at_once(data: Sequence[Any], shape: tuple[int, ...]) -> list[Any] | None:
    """The elements of flat data, or of data that is nested exactly as `shape`. None for all other data."""
    count = shape[0]
    for size in shape[1:]:
        kinds = set(map(type, data))
        if list not in kinds:
            break
        if kinds != {list} or len(data) != count or set(map(len, data)) != {size}:
            return None
        data = list(itertools.chain.from_iterable(data))
        count *= size
    return None if list in set(map(type, data)) else list(data)


def _flat(data: Sequence[Any], shape: tuple[int, ...], loc: tuple[str | int, ...]) -> Iterable[Any]:
    """The elements of flat or nested data; the protocol allows both. Raises Invalid if the nesting is not `shape`."""
    if not any(isinstance(part, list) for part in data):
        yield from data
        return
    if len(data) != shape[0] or len(shape) == 1:
        raise errors.Invalid.at(loc, f"nested data does not have shape {list(shape)}", "shape")
    for index, part in enumerate(data):
        if not isinstance(part, list):
            raise errors.Invalid.at((*loc, index), "data is nested in part only", "shape")
        if len(part) != shape[1]:
            raise errors.Invalid.at((*loc, index), f"{len(part)} elements where the shape says {shape[1]}", "shape")
        yield from _flat(part, shape[1:], (*loc, index))


Read = Callable[[Any, tuple[str | int, ...]], Any]
"""Reads one element of a tensor. Raises Invalid at the place that it is given."""


def _reader(tensor: Tensor, datatype: str) -> Read | None:
    """The function that reads the elements of a tensor that was sent as `datatype`. None if they stay as they are."""
    if tensor.json or (tensor.is_number and datatype == "BYTES"):
        return _json_text
    if not tensor.is_number:
        return None
    return _from_integers(tensor, datatype) if datatype in INTEGERS else _from_floats(tensor)


def _stay(tensor: Tensor, datatype: str, elements: Sequence[Any]) -> bool:
    """Whether the reader returns each of these elements as it is: asked of all at once, at the speed of C."""
    if tensor.json or datatype == "BYTES":
        return False
    kinds = set(map(type, elements))
    if datatype in INTEGERS:
        low, high = _integers_kept(tensor, datatype)
        return kinds == {int} and low <= min(elements) and max(elements) <= high
    # Only a float can become something else: a whole one an integer, and NaN, which is not equal to itself, null.
    return float not in kinds or (tensor.datatype in EXACT and all(map(operator.eq, elements, elements)))


def _integers_kept(tensor: Tensor, datatype: str) -> tuple[int, int]:
    """The least and the greatest integer that may be sent as `datatype` for this tensor."""
    low, high = INTEGERS[datatype]
    exact = EXACT.get(tensor.datatype, max(-low, high))
    return max(low, -exact), min(high, exact)


def _from_integers(tensor: Tensor, datatype: str) -> Read:
    low, high = INTEGERS[datatype]
    exact = EXACT.get(tensor.datatype)

    def element(value: Any, loc: tuple[str | int, ...]) -> Any:
        kind = type(value)
        if kind is float and exact is not None:
            raise errors.Invalid.at(loc, f"Input should be a {datatype} element", "datatype")
        if kind is int and not low <= value <= high:
            raise errors.Invalid.at(loc, f"Input does not fit {datatype}", "int_range")
        if kind is int and exact is not None and not -exact <= value <= exact:
            beyond = f"a whole number beyond 2^{exact.bit_length() - 1}"
            raise errors.Invalid.at(
                loc, f"Input is {beyond}, of which {tensor.datatype} does not have every one", "int_range"
            )
        return value

    return element


def _from_floats(tensor: Tensor) -> Read | None:
    wants_integer = tensor.datatype in INTEGERS
    if not wants_integer and not tensor.nullable:
        return None

    def element(value: Any, _: tuple[str | int, ...]) -> Any:
        if type(value) is float:
            if tensor.nullable and math.isnan(value):
                return None
            if wants_integer and value.is_integer():
                return int(value)
        return value

    return element


def _json_text(value: Any, loc: tuple[str | int, ...]) -> Any:
    if type(value) is not str:
        raise errors.Invalid.at(loc, "Input should be a BYTES element with JSON text", "datatype")
    return _parsed(value, loc)


def _parsed(text: str, loc: tuple[str | int, ...]) -> Any:
    try:
        value = pydantic_core.from_json(text)
    except ValueError as problem:
        raise errors.Invalid.at(loc, f"Input should be JSON text: {problem}", "json_invalid") from problem
    if ":" in text:
        duplicates.check(text, loc)
    return value


def column(tensor: Tensor, documents: Sequence[Any]) -> list[Any]:
    """The flat data of one tensor, from rows or answers as JSON values."""
    values = documents if tensor.whole else [document[tensor.name] for document in documents]
    if tensor.json:
        return [pydantic_core.to_json(value, inf_nan_mode="constants").decode() for value in values]
    for _ in tensor.shape:
        values = [element for value in values for element in value]
    return list(values)


def answered(tensor: Tensor, documents: Sequence[Any]) -> list[Any]:
    """As `column`, of answers. Raises ModelFailed if an answer does not have the shape or the range of the tensor."""
    if not tensor.whole and any(tensor.name not in document for document in documents):
        raise errors.ModelFailed(f"the model returned an answer without {tensor.name!r}, which V2 has as a tensor")
    values = documents if tensor.whole else [document[tensor.name] for document in documents]
    for size in tensor.shape:
        for value in values:
            if len(value) != size:
                raise errors.ModelFailed(f"the model returned {len(value)} values in field {tensor.name!r}, not {size}")
        values = [element for value in values for element in value]
    if tensor.datatype in INTEGERS:
        low, high = INTEGERS[tensor.datatype]
        for value in values:
            if value is not None and not low <= value <= high:
                raise errors.ModelFailed(
                    f"the model returned {value} in field {tensor.name!r}, which {tensor.datatype} does not have"
                )
    return column(tensor, documents)
