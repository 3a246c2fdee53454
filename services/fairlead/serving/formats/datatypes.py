"""The datatypes of tensors: their ranges, the fields that hold them, and the arrays that estimators get and return.

A field says its datatype by `format` of its JSON schema (`int32`, `float`): OpenAPI has these names. A number without a
`format` is FP64, an integer INT64. No value changes on its way: a number that a datatype does not have is refused. Only
a fraction is rounded, to the nearest that FP32, FP16 or BF16 has.

numpy lacks BF16. Where rows and answers have arrays, its values are float32; a network gets an array of `BF16`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field

from fairlead import errors
from fairlead.contracts.manifest import Datatype, Tensor

Range = tuple[int, int]
INTEGERS: Mapping[str, Range] = MappingProxyType(
    {
        **{f"INT{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
        **{f"UINT{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
    }
)
"""The least and the greatest value of the integer types."""
INT64 = INTEGERS["INT64"]
EXACT: Mapping[str, int] = MappingProxyType({"BF16": 2**8, "FP16": 2**11, "FP32": 2**24, "FP64": 2**53})
"""The float types, with the largest whole number up to which each has every one."""
IN_FLOAT64: Range = (-EXACT["FP64"], EXACT["FP64"])
LARGEST: Mapping[str, float] = MappingProxyType(
    {"BF16": (2 - 2**-7) * 2.0**127, "FP16": float(np.finfo(np.float16).max), "FP32": float(np.finfo(np.float32).max)}
)
"""The largest number of the float types that have less than FP64."""
BF16 = np.dtype([("bf16", "<u2")])
"""The type of an array of BF16 numbers: the upper halves of float32 numbers."""
FORMATS: Mapping[str, str] = MappingProxyType(
    {"bfloat16": "BF16", "float16": "FP16", "float": "FP32", "double": "FP64"} | {i.lower(): i for i in INTEGERS}
)
"""The formats of numbers in a JSON schema, each with its datatype."""
_FORMAT_OF = {datatype: name for name, datatype in FORMATS.items() if datatype not in ("FP64", "INT64")}
_ARRAYS = {
    "BF16": "float32",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BOOL": "bool",
    **{name: name.lower() for name in INTEGERS},
}


def to_bf16(numbers: np.ndarray) -> np.ndarray:
    """These numbers as an array of `BF16`: as float32, each rounded to the nearest one, or to the even one of two."""
    bits = np.ascontiguousarray(numbers, np.float32).view(np.uint32)
    upper = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16  # above the largest BF16 number it becomes infinite
    upper = np.where(np.isnan(numbers), 0x7FC0, upper)
    return upper.astype(np.uint16).view(BF16).reshape(np.shape(numbers))


def from_bf16(numbers: np.ndarray) -> np.ndarray:
    """An array of `BF16` as the same numbers in float32."""
    array: np.ndarray = (numbers.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return array.reshape(numbers.shape)


def rounded(number: float | None, datatype: str) -> float | None:
    """The nearest number that FP16 or BF16 has."""
    if number is None:
        return None
    nearest = np.float16(number) if datatype == "FP16" else from_bf16(to_bf16(np.array([number])))[0]
    return float(nearest)


def argument_type(datatypes: Sequence[Datatype]) -> np.dtype[Any]:
    """The type of the array that holds numbers of all these datatypes.

    It is float32 if that has all of their numbers, int64 or uint64 if all are integers, also with BOOL between them,
    else float64.
    """
    kinds = set(datatypes)
    if kinds <= LARGEST.keys():
        return np.dtype(np.float32)
    if kinds == {"BOOL"} or not kinds <= INTEGERS.keys() | {"BOOL"}:
        return np.dtype(np.float64)
    is_unsigned = "UINT64" in kinds and not any(kind.startswith("INT") for kind in kinds)
    return np.dtype(np.uint64 if is_unsigned else np.int64)


def array_type(datatype: Datatype) -> np.dtype[Any]:
    """The type of an array with the values of one datatype: each of them, unchanged. Texts are objects.

    That of BF16 is float32.
    """
    return np.dtype(_ARRAYS.get(datatype, "object"))


def field_type(datatype: Datatype, held: str = "", minimum: float | None = None, maximum: float | None = None) -> Any:
    """The type of a pydantic field with one element, between `minimum` and `maximum` if they are given.

    `held` is the type of the array or column that has the element for the estimator, if it is not the datatype's own:
    an integer is limited to those that it has.
    """
    name = _FORMAT_OF.get(datatype)
    schema: dict[str, Any] = {"json_schema_extra": {"format": name}} if name else {}
    if bounds := INTEGERS.get(datatype):
        low, high = _integers_of(held) if held else bounds
        low, high = max(low, bounds[0]), min(high, bounds[1])
        return Annotated[
            int, Field(ge=_inside(minimum, low, high, low), le=_inside(maximum, low, high, high), **schema)
        ]
    if (largest := LARGEST.get(datatype)) is not None:
        least = _inside(minimum, -largest, largest, -largest)
        most = _inside(maximum, -largest, largest, largest)
        number = Annotated[float, Field(ge=least, le=most, **schema)]
        # The array or the column that has it is wider, so it would not round the number.
        is_rounded = held and datatype in ("BF16", "FP16")
        return Annotated[number, AfterValidator(partial(rounded, datatype=datatype))] if is_rounded else number
    if minimum is not None or maximum is not None:
        return Annotated[float, Field(ge=minimum, le=maximum)]
    return {"BOOL": bool, "FP64": float, "BYTES": str}[datatype]


def choice_type(datatype: Datatype, choices: Sequence[str | int]) -> Any:
    """The type of a pydantic field that has one of these values."""
    schema: dict[str, Any] = {"format": name} if (name := _FORMAT_OF.get(datatype)) else {}
    if datatype in INTEGERS:
        schema |= {"minimum": min(choices), "maximum": max(choices)}
    return Annotated[Literal[tuple(choices)], Field(json_schema_extra=schema)]


def _inside(bound: float | None, low: float, high: float, otherwise: float) -> float:
    return otherwise if bound is None else min(max(bound, low), high)


def _integers_of(held: str) -> Range:
    """The integers that an array or a column of this type has."""
    exact = EXACT.get(held.upper().replace("FLOAT", "FP"))
    return (-exact, exact) if exact is not None else INTEGERS.get(held.upper(), INTEGERS["INT64"])


def elements(values: Any, output: Tensor) -> list[Any]:
    """An estimator's values for one output, as Python values of the declared datatype.

    An estimator may return floats for declared integers, and 0 and 1 for BOOL. Raises ModelFailed, with the first
    value, if the datatype does not have a value: it would become another one.
    """
    array = np.asarray(values)
    if output.datatype == "BYTES":
        texts: list[Any] = array.tolist()
        return texts
    if array.dtype.kind == "O":
        array = _numbers(array, output)
    if array.dtype.kind == "b":
        array = array.astype(np.int8)  # numpy compares it with every integer of Python
    if array.dtype.kind not in "iufO":
        raise _not_declared(array.ravel()[0].item() if array.size else array.dtype.name, output)
    with np.errstate(all="ignore"):
        is_held = np.asarray(_is_held(array, output.datatype), dtype=bool)
        if not is_held.all():
            raise _not_declared(array[~is_held].tolist()[0], output)
        converted = array.astype(_ARRAYS[output.datatype])
        if output.datatype == "BF16":
            converted = from_bf16(to_bf16(converted))
        listed: list[Any] = converted.tolist()
    return listed


def _is_held(array: np.ndarray, datatype: str) -> Any:
    """Whether the datatype has the value, for each element."""
    is_float = array.dtype.kind == "f"
    if datatype == "BOOL":
        return (array == 0) | (array == 1)
    if datatype in INTEGERS:
        low, high = INTEGERS[datatype]
        # float64 does not have 2^63 - 1, but 2^63
        return (
            (array >= low) & (array < float(high + 1)) & (array % 1 == 0)
            if is_float
            else (array >= low) & (array <= high)
        )
    if is_float:  # NaN and infinity are refused where answers are written
        largest = LARGEST.get(datatype, math.inf)
        return ~(np.abs(array) > largest) | np.isinf(array)
    return (array >= -EXACT[datatype]) & (array <= EXACT[datatype])


def _numbers(array: np.ndarray, output: Tensor) -> np.ndarray:
    """Python objects as an array of floats, or as they are if all are integers: float64 does not have all of those."""
    flat = array.ravel().tolist()
    for value in flat:
        if not isinstance(value, int | float | np.integer | np.floating | np.bool_):
            raise _not_declared(value, output)
    if all(isinstance(value, int | np.integer | np.bool_) for value in flat):
        return array
    exact = EXACT.get(output.datatype, EXACT["FP64"])
    for value in flat:
        if isinstance(value, int | np.integer) and not -exact <= value <= exact:
            raise _not_declared(value, output)
    return array.astype(np.float64)


def _not_declared(value: object, output: Tensor) -> errors.ModelFailed:
    # All in the message: it reaches the log and `fairlead check`, a hint does not.
    return errors.ModelFailed(
        f"the estimator returned {repr(value)[:80]} for output {output.name!r}, and {output.datatype}, its declared "
        "datatype, does not have this value; declare what the estimator returns: FP64 for fractions, BYTES for text"
    )
