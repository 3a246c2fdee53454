"""What the annotation of a field says about its values: its types, and all its values if there are only a few."""

from __future__ import annotations

import decimal
import enum
import types
import typing
from typing import Annotated, Any, Literal, Union

from pydantic.fields import FieldInfo

NUMBERS = frozenset({float, int, decimal.Decimal})


def kinds(annotation: Any) -> list[Any]:
    """The types that a field may have: those of a union, each without its metadata."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return kinds(typing.get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [kind for part in typing.get_args(annotation) for kind in kinds(part)]
    return [annotation]


def choices(annotation: Any) -> list[Any]:
    """All values of a field that has only a few: those of its Literals and Enums. Else an empty list."""
    found: list[Any] = []
    for kind in kinds(annotation):
        if typing.get_origin(kind) is Literal:
            found += [value for value in typing.get_args(kind) if value is not None]
        elif isinstance(kind, type) and issubclass(kind, enum.Enum):
            found += list(kind)
        elif kind is not type(None):
            return []
    return found


def sent_name(name: str, field: FieldInfo) -> str:
    """The name of a row's field in the JSON that clients send."""
    return field.validation_alias if isinstance(field.validation_alias, str) else field.alias or name
