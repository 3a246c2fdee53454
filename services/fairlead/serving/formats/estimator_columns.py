"""The columns of the table that a declared model's estimator gets: one per input, each of a type that never changes.

The type comes from the input's datatype, or from its `column_type`, never from the values: pandas infers another type
for a column that is null in the only row of a request. What a missing value is follows from the type.

| datatype | column | missing |
|---|---|---|
| FP64; FP32, FP16, BF16 | float64; float32 | NaN |
| integers | int64, or uint64 if all inputs are unsigned and one is UINT64; float64 if it may be missing | NaN |
| BOOL | bool; boolean if it may be missing | NA |
| BYTES | what pandas makes of texts: str from pandas 3 on, else object | NaN |
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from fairlead.contracts.manifest import Tensor
from fairlead.serving.formats import datatypes
from fairlead.serving.formats.frames import Column, category

_MISSING = {"NaN": math.nan, "None": None}


def array_type(tensors: Sequence[Tensor]) -> np.dtype[Any]:
    """The type of the array that holds the numbers of all inputs. One that may be missing is a float in it."""
    kinds = {"FP64" if one.nullable and one.datatype in datatypes.INTEGERS else one.datatype for one in tensors}
    return datatypes.argument_type(sorted(kinds - {"BYTES"}) or ["FP64"])


def type_of(tensor: Tensor, array: np.dtype[Any]) -> str:
    """The name of the column's type. All integers have one, that of the `array`: numpy makes floats of two."""
    if tensor.column_type is not None:
        return tensor.column_type
    if tensor.datatype == "BYTES":
        return "str"
    if tensor.datatype == "BOOL":
        return "boolean" if tensor.nullable else "bool"
    if tensor.datatype in datatypes.INTEGERS and not tensor.nullable:
        return "uint64" if array.kind == "u" else "int64"
    return "float32" if tensor.datatype in datatypes.LARGEST else "float64"


def column(tensor: Tensor, array: np.dtype[Any], pandas: Any) -> Column:
    """The function that makes the column of an input from its values."""
    kind = type_of(tensor, array)
    if kind == "category":
        return category(tensor.choices, pandas)
    if kind == "str":
        kind = pandas.Series(["text"]).dtype
    elif is_of_numpy(kind):
        return partial(np.array, dtype=kind)
    if kind != "object":
        return partial(pandas.array, dtype=kind)
    missing = _MISSING[tensor.missing]
    objects = partial(pandas.Series, dtype=object)  # a plain array of texts would become another type in pandas 3
    return lambda values: objects([missing if value is None else value for value in values])


def is_of_numpy(kind: str) -> bool:
    """Whether a column of this type is an array of numbers, which needs no pandas."""
    return kind == "bool" or kind.startswith(("int", "uint", "float"))


def objects(tensors: Sequence[Tensor], row: Sequence[Any]) -> list[Any]:
    """The values of a row for an array of objects, as of an estimator that was fitted on texts beside numbers."""
    return [_MISSING[one.missing] if value is None else value for one, value in zip(tensors, row, strict=True)]
