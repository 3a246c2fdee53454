"""How much memory the rows of a body need as Python objects: up to 160 times the bytes of their JSON.

The numbers are those of CPython 3.11 to 3.13, rounded up: an object of a model is three objects of Python (itself, its
fields, and the set of those that were given).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from fairlead.serving.inference import schema_walk
from fairlead.serving.inputs.image_field import HELD

OBJECT, FIELD = 500, 110
"""Bytes of an object of a model, and of each of its fields with a number or a short text in it."""
LIST, MAPPING, VALUE = 120, 240, 60
"""Bytes of an empty list, of a mapping, and of a number or a short text in a list."""
_WIDE = 4
"""The bytes of a character in a text that has one from beyond the first 65,536."""
_TEXT, _NUMBERS, _LISTS, _LARGE = 4, 8, 24, 60
"""The bytes that one byte of JSON becomes: in text, in a list of numbers of four characters, in lists of lists and
mappings, and in a list of larger objects of Python."""
BINARY_BYTE = 16
"""The bytes that one byte of a tensor in binary form becomes at most: an FP16 is a float of Python in a list."""
_CONTAINERS = frozenset({"list", "tuple", "dict", "generator", "any"})
_LARGE_KINDS = frozenset({"set", "frozenset", "decimal", "complex"})


@dataclass(frozen=True, slots=True)
class RowMemory:
    """What the rows of one type need, in bytes.

    `row` is a row without the lists and objects in it, `inner` the largest object inside a row. `per_byte` is what one
    byte of JSON becomes, without `row`. `has_files`: the row has the pixels of files, and not the files.
    """

    row: int
    inner: int
    per_byte: int
    has_files: bool = False

    def of(self, body: bytes, rows: int) -> int:
        """An estimate for a body with so many rows. It counts characters, at the speed of `bytes.count`."""
        if self.has_files:
            return rows * self.row
        objects = max(0, body.count(b"{") - rows)
        values = LIST * body.count(b"[") + VALUE * body.count(b",")
        text = len(body) if body.isascii() and b"\\u" not in body else _WIDE * len(body)
        return text + rows * self.row + objects * self.inner + values


def of_rows(row_type: type[BaseModel], schema: Mapping[str, Any]) -> RowMemory:
    """The memory of rows of this type, whose core schema is `schema`."""
    parts = list(schema_walk.parts(schema))
    # A row type that contains itself is among the definitions.
    is_inner = schema["type"] == "definitions"
    inner = [part for part in parts if part["type"] == "model" and (is_inner or part["cls"] is not row_type)]
    held = sum((part.get("metadata") or {}).get(HELD, 0) for part in parts)
    return RowMemory(
        row=OBJECT + FIELD * len(row_type.model_fields) + held,
        inner=max((_size(model) for model in inner), default=MAPPING),
        per_byte=max([_of_values(parts), *(_size(model) // _least_bytes(model) for model in inner)]),
        has_files=held > 0,
    )


def _of_values(parts: Sequence[Mapping[str, Any]]) -> int:
    """What one byte of JSON becomes where it is in no object of a model."""
    kinds = {part["type"] for part in parts}
    if kinds & _LARGE_KINDS:
        return _LARGE
    lists = [part for part in parts if part["type"] in _CONTAINERS]
    holds_lists = any(
        part["type"] in _CONTAINERS for one in lists for part in schema_walk.parts(one) if part is not one
    )
    return _LISTS if holds_lists or kinds & {"dict", "any"} else _NUMBERS if lists else _TEXT


def _size(model: Mapping[str, Any]) -> int:
    return OBJECT + FIELD * len(_fields(model))


def _least_bytes(model: Mapping[str, Any]) -> int:
    """The bytes of the shortest JSON of a model with the comma after it. Fields with a default may be left out."""
    fields = _fields(model)
    keys = [_shortest(name, field) for name, field in fields.items() if field["schema"]["type"] != "default"]
    return (len("{},") if fields else len("1,")) + sum(len('"":1') + key for key in keys) + max(0, len(keys) - 1)


def _shortest(name: str, field: Mapping[str, Any]) -> int:
    alias = field.get("validation_alias", name)
    return min(len(name), len(alias)) if isinstance(alias, str) else 0


def _fields(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of a model; none, if it is a RootModel."""
    inner = model["schema"]
    while inner["type"].startswith("function-"):
        inner = inner["schema"]
    found: Mapping[str, Any] = inner["fields"] if inner["type"] == "model-fields" else {}
    return found
