"""The types of the columns of a table that an estimator may have been fitted on, and which values each can hold."""

from __future__ import annotations

import math
import struct
from typing import Literal

ColumnType = Literal[
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64",
    "boolean", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64",
    "str", "string", "object", "category",
]  # fmt: skip
"""The names that pandas gives to the types of columns."""


FLOATS = frozenset({"BF16", "FP16", "FP32", "FP64"})
"""The datatypes of fractions."""
_PACKED = {"BF16": "f", "FP16": "e", "FP32": "f", "FP64": "d"}


def problem(column_type: str, datatype: str, *, nullable: bool, has_choices: bool) -> str | None:
    """Why a column of this type cannot hold the values of an input; None if it can."""
    if column_type == "category":
        return None if has_choices else "a category column needs `choices`: all its values, in its order"
    if column_type == "object":
        return None
    texts = column_type in ("str", "string")
    booleans = column_type in ("bool", "boolean")
    if texts != (datatype == "BYTES") or booleans != (datatype == "BOOL"):
        return f"a column of the type {column_type} does not hold {datatype}"
    if datatype in FLOATS and "float" not in column_type.lower():
        return f"a column of the type {column_type} does not hold {datatype}: a fraction would be lost"
    if nullable and not holds_null(column_type):
        return f"a column of the type {column_type} holds no missing value, and the input is nullable"
    return None


def holds_null(column_type: str) -> bool:
    """Whether a column of this type can have a missing value."""
    return column_type != "bool" and not column_type.startswith(("int", "uint"))


def fits(value: bool | float, datatype: str) -> bool:
    """Whether a datatype of numbers has this value. A fraction may be rounded; 0 and 1 are booleans too."""
    if datatype == "BOOL":
        return value in (0, 1)
    if isinstance(value, bool):
        return False
    if datatype in FLOATS:
        try:
            return math.isfinite(value) and bool(struct.pack(_PACKED[datatype], value))
        except OverflowError:
            return False
    kind, _, bits = datatype.partition("INT")
    low, high = (0, 2 ** int(bits)) if kind == "U" else (-(2 ** (int(bits) - 1)), 2 ** (int(bits) - 1))
    return isinstance(value, int) and low <= value < high
