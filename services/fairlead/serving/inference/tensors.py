"""Open Inference Protocol tensors for a row type: one tensor per field, and conversion between rows and columns.

The tensors are derived from the type's JSON schema, which the docs page shows too. A number is FP64 and an integer
INT64. Text, and every type that JSON writes as text, is BYTES. A list of fixed length is a second dimension. A field
without a tensor form (a nested object, null, a list of any length) is BYTES; each element is then JSON text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import BaseModel

from fairlead import errors

INT64 = (-(2**63), 2**63 - 1)
_DATATYPES = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "string": "BYTES"}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One field as a tensor. `shape` excludes the batch dimension. If `json` is set, the elements are JSON text."""

    name: str
    datatype: str
    shape: tuple[int, ...] = ()
    required: bool = True
    json: bool = False


def of(schema_type: type[BaseModel], mode: Any = "validation") -> tuple[Tensor, ...]:
    """The tensors of a type, in the order of its fields."""
    schema = schema_type.model_json_schema(mode=mode)
    definitions = schema.get("$defs", {})
    if "$ref" in schema:  # a type that contains itself
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    required = schema.get("required", ())
    return tuple(
        _tensor(name, part, definitions, name in required) for name, part in schema.get("properties", {}).items()
    )


def _tensor(name: str, part: dict[str, Any], definitions: dict[str, Any], required: bool) -> Tensor:
    shape: list[int] = []
    part = _resolved(part, definitions)
    while part.get("type") == "array" and part.get("minItems") == part.get("maxItems") is not None:
        shape.append(part["minItems"])
        items = part.get("items") or (part.get("prefixItems") or [{}])[0]
        if any(other != items for other in part.get("prefixItems", ())):
            return Tensor(name, "BYTES", (), required, json=True)
        part = _resolved(items, definitions)
    datatype = _DATATYPES.get(part.get("type", ""))
    if datatype is None:
        return Tensor(name, "BYTES", (), required, json=True)
    return Tensor(name, datatype, tuple(shape), required)


def _resolved(part: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    reference = part.get("$ref")
    return part if reference is None else definitions[reference.rpartition("/")[2]]


def values(tensor: Tensor, data: Sequence[Any], rows: int, loc: tuple[str | int, ...]) -> list[Any]:
    """Split a tensor's data, flat or nested, in row-major order, into one value per row. Raises Invalid at `loc`."""
    flat = list(_flat(data, (rows, *tensor.shape), loc))
    each = math.prod(tensor.shape)
    if len(flat) != rows * each:
        raise _wrong(loc, f"{len(flat)} elements do not fill shape {[rows, *tensor.shape]}", "element_count")
    checked = [_element(tensor, value, (*loc, index)) for index, value in enumerate(flat)]
    for size in reversed(tensor.shape):
        checked = [checked[start : start + size] for start in range(0, len(checked), size)]
    return checked


def _flat(data: Sequence[Any], shape: tuple[int, ...], loc: tuple[str | int, ...]) -> Iterable[Any]:
    """The elements of flat or nested data; the protocol allows both. Raises Invalid if the nesting is not `shape`."""
    if not any(isinstance(part, list) for part in data):
        yield from data
        return
    if len(data) != shape[0] or len(shape) == 1:
        raise _wrong(loc, f"nested data does not have shape {list(shape)}", "shape")
    for index, part in enumerate(data):
        if not isinstance(part, list):
            raise _wrong((*loc, index), "data is nested in part only", "shape")
        if len(part) != shape[1]:
            raise _wrong((*loc, index), f"{len(part)} elements where the shape says {shape[1]}", "shape")
        yield from _flat(part, shape[1:], (*loc, index))


def _element(tensor: Tensor, value: Any, loc: tuple[str | int, ...]) -> Any:
    kind = type(value)
    if tensor.datatype == "FP64" and kind in (float, int):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise _wrong(loc, "Input should be a finite number", "finite_number")
        return number
    if tensor.datatype == "INT64" and kind is int:
        if not INT64[0] <= value <= INT64[1]:
            raise _wrong(loc, "Input does not fit INT64", "int_range")
        return value
    if tensor.datatype == "BOOL" and kind is bool:
        return value
    if tensor.datatype == "BYTES" and kind is str:
        return _parsed(value, loc) if tensor.json else value
    raise _wrong(loc, f"Input should be a {tensor.datatype} element", "datatype")


def _parsed(text: str, loc: tuple[str | int, ...]) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as problem:
        raise _wrong(loc, f"Input should be JSON text: {problem}", "json_invalid") from problem


def column(tensor: Tensor, answers: Sequence[dict[str, Any]]) -> list[Any]:
    """The flat data of one output tensor, from answers as JSON objects."""
    values = [answer[tensor.name] for answer in answers]
    if tensor.json:
        return [orjson.dumps(value).decode() for value in values]
    for _ in tensor.shape:
        values = [element for value in values for element in value]
    return values


def _wrong(loc: tuple[str | int, ...], msg: str, kind: str) -> errors.Invalid:
    where = ".".join(str(part) for part in loc)
    return errors.Invalid(f"{where}: {msg}", details=(errors.Detail(loc, msg, kind),))
