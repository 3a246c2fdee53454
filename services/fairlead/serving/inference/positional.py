"""Rows that are lists of numbers in the order of the fields, as KServe's and TensorFlow's clients send them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairlead import errors
from fairlead.serving.formats.datatypes import INTEGERS
from fairlead.serving.inference.tensors import Tensor

_SHOWN = 6
"""The most fields of an example in an error."""
_VALUES = {"BOOL": "true", "BYTES": '"text"'}


class PositionalRows:
    """Turns rows that are lists into objects, for one row type. Its schema then checks every value as usual."""

    def __init__(self, fields: Sequence[Tensor]) -> None:
        self._fields = tuple(fields)
        self._names = [field.name for field in fields]
        numbers = all(field.is_number for field in fields)
        self.scalars: tuple[Tensor, ...] = self._fields if numbers and not any(f.shape for f in fields) else ()
        """The fields, if each is one number; else empty."""
        self.vector: Tensor | None = self._fields[0] if numbers and len(fields) == 1 and fields[0].shape else None
        """The only field, if it is a list of numbers of fixed length."""

    def as_objects(self, rows: Sequence[Any], place: tuple[str | int, ...]) -> list[Any]:
        """The rows with objects in place of lists. Raises Invalid for a row that is neither."""
        if not self._fields:  # rows without fixed fields have another form, which only their author knows
            return list(rows)
        return [row if isinstance(row, dict) else self._as_object(row, (*place, i)) for i, row in enumerate(rows)]

    def _as_object(self, row: Any, loc: tuple[str | int, ...]) -> dict[str, Any]:
        if isinstance(row, list) and self.vector is not None:
            return {self.vector.name: row}
        if isinstance(row, list) and len(row) == len(self.scalars) > 0:
            return dict(zip(self._names, row, strict=True))
        msg = f"a row must be an object such as {self.example()}"
        if self.scalars or self.vector:
            msg += f", or a list of numbers in this order, such as {self._list_example()}"
        elif isinstance(row, list):
            msg += "; a list is only possible where every field is a number"
        raise errors.Invalid.at(loc, msg, "row_form")

    def example(self) -> str:
        """An object with the fields' names, as JSON; the values only show the types."""
        shown = ", ".join(f'"{field.name}": {_value(field)}' for field in self._fields[:_SHOWN])
        return f"{{{shown}{', ...' if len(self._fields) > _SHOWN else ''}}}"

    def _list_example(self) -> str:
        if self.vector is not None:
            return _value(self.vector)
        return f"[{', '.join(_value(field) for field in self.scalars)}]"


def _value(field: Tensor) -> str:
    """An example of a field's value, as JSON."""
    value = "{...}" if field.json else _VALUES.get(field.datatype) or ("1" if field.datatype in INTEGERS else "0.5")
    for size in reversed(field.shape):
        value = f"[{', '.join([value] * min(size, _SHOWN))}{', ...' if size > _SHOWN else ''}]"
    return value
