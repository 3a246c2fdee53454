"""Open Inference Protocol tensors for a row type: one tensor per field, and conversion between rows and columns.

The tensors are derived from the type's JSON schema, which the docs page shows too. A number is FP64 and an integer
INT64, also if it may be missing: null then, or NaN. Text, and every type that JSON writes as text, is BYTES. A list of
fixed length is a second dimension. A field without a tensor form (a nested object, a list of any length) is BYTES; each
element is then JSON text.

A client may send any type of number for a number, if the value stays the same: FP32 for FP64, or INT32 for INT64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from pydantic import BaseModel

from fairlead import errors
from fairlead.serving.inference import duplicates

INT64 = (-(2**63), 2**63 - 1)
EXACT = 2**53
"""The largest whole number up to which FP64 has every one."""
INTEGERS: dict[str, tuple[int, int]] = {
    **{f"INT{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
}
"""The least and the greatest value of the integer types."""
FLOATS = frozenset({"FP16", "BF16", "FP32", "FP64"})
_DATATYPES = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "string": "BYTES"}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One field as a tensor. `shape` excludes the batch dimension. If `json` is set, the elements are JSON text.

    `nullable`: the field is one number, or null.
    """

    name: str
    datatype: str
    shape: tuple[int, ...] = ()
    required: bool = True
    json: bool = False
    nullable: bool = False

    @property
    def is_number(self) -> bool:
        """Whether the elements are numbers."""
        return self.datatype in ("FP64", "INT64")

    def takes(self, datatype: str) -> bool:
        """Whether the elements may be sent as this type."""
        if self.nullable and datatype == "BYTES":  # JSON text, as such fields were sent before they had a datatype
            return True
        return datatype == self.datatype or (self.is_number and (datatype in INTEGERS or datatype in FLOATS))


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
    if number := _number_or_null(part, definitions):
        return Tensor(name, number, (), required, nullable=True)
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


def _number_or_null(part: dict[str, Any], definitions: dict[str, Any]) -> str | None:
    """The datatype of a number that may be null; None for any other part of a schema."""
    options = [_resolved(option, definitions).get("type") for option in part.get("anyOf", ())]
    if len(options) != 2 or "null" not in options:
        return None
    (other,) = [option for option in options if option != "null"] or [None]
    return _DATATYPES[other] if other in ("number", "integer") else None


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
    elements = flat(data, (rows, *tensor.shape), loc)
    read = _reader(tensor, datatype or tensor.datatype)
    checked = [read(value, (*loc, first + index * step)) for index, value in enumerate(elements)]
    for size in reversed(tensor.shape):
        checked = [checked[start : start + size] for start in range(0, len(checked), size)]
    return checked


def flat(data: Sequence[Any], shape: tuple[int, ...], loc: tuple[str | int, ...]) -> list[Any]:
    """The elements of flat or nested data of this shape, in row-major order. Raises Invalid at `loc`."""
    elements = list(_flat(data, shape, loc))
    if len(elements) != math.prod(shape):
        raise _wrong(loc, f"{len(elements)} elements do not fill shape {list(shape)}", "element_count")
    return elements


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


Read = Callable[[Any, tuple[str | int, ...]], Any]
"""Reads one element of a tensor. Raises Invalid at the place that it is given."""


def _reader(tensor: Tensor, datatype: str) -> Read:
    """The function that reads the elements of a tensor that was sent as `datatype`."""
    if not tensor.is_number:
        return _text_or_bool(tensor)
    if datatype == "BYTES":
        return _text_or_bool(replace(tensor, datatype=datatype, json=True))
    bounds = INTEGERS.get(datatype)
    wants_integer = tensor.datatype == "INT64"

    def number(value: Any, loc: tuple[str | int, ...]) -> Any:
        kind = type(value)
        if tensor.nullable and (value is None or (kind is float and math.isnan(value))):
            return None
        if kind is not int and (kind is not float or bounds is not None):
            raise _wrong(loc, f"Input should be a {datatype} element", "datatype")
        if bounds is not None and not bounds[0] <= value <= bounds[1]:
            raise _wrong(loc, f"Input does not fit {datatype}", "int_range")
        return _integer(value, loc) if wants_integer else _float(value, loc, exact=bounds is not None)

    return number


def _integer(value: float, loc: tuple[str | int, ...]) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise _wrong(loc, "Input should be a whole number", "int_from_float")
    if not INT64[0] <= value <= INT64[1]:
        raise _wrong(loc, "Input does not fit INT64", "int_range")
    return int(value)


def _float(value: float, loc: tuple[str | int, ...], *, exact: bool) -> float:
    if exact and not -EXACT <= value <= EXACT:
        raise _wrong(loc, "Input is a whole number beyond 2^53, of which FP64 does not have every one", "int_range")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _wrong(loc, "Input should be a finite number", "finite_number")
    return number


def _text_or_bool(tensor: Tensor) -> Read:
    kind = bool if tensor.datatype == "BOOL" else str

    def element(value: Any, loc: tuple[str | int, ...]) -> Any:
        if type(value) is not kind:
            raise _wrong(loc, f"Input should be a {tensor.datatype} element", "datatype")
        return _parsed(str(value), loc) if tensor.json else value

    return element


def _parsed(text: str, loc: tuple[str | int, ...]) -> Any:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as problem:
        raise _wrong(loc, f"Input should be JSON text: {problem}", "json_invalid") from problem
    if ":" in text:
        duplicates.check(text, loc)
    return value


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
