"""`Keys`: the key of a request in the response cache, bytes that are equal only if model and rows are equal.

A key has all of the rows: each value with its type, arrays with datatype and shape, and which fields were given. It has
nothing else of the request: what else a client asks (outputs, parameters, the form of the response) does not reach the
model, and is applied to the answers of a hit as to any others.
"""

from __future__ import annotations

import marshal
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import numpy as np
from pydantic import BaseModel

from fairlead.serving.inference.lines import Ranked

_SCALARS = frozenset({type(None), bool, int, float, str, bytes})
_WRITTEN = frozenset({date, datetime, time, timedelta, Decimal, UUID})
"""Types whose `repr` has all of a value."""
_VERSION = 2
"""The format of `marshal` that writes a value in one way only: later ones write a repeated object as a reference."""


class _NoKey(Exception):
    """A value has a type of which nothing is known."""


class Keys:
    """Makes the keys of one model. `identity` names it: its name, version and artifact."""

    def __init__(self, *identity: str) -> None:
        self._identity = identity
        self._kinds: dict[type, int] = {}  # two types of a model may have the same name

    def of(self, rows: Sequence[Any]) -> bytes | None:
        """The key of a request with these rows. None if they have a value that no key can be made of."""
        if isinstance(rows, Keyed):
            return rows.key
        try:
            return marshal.dumps((self._identity, self._plain(list(rows))), _VERSION)
        except (_NoKey, KeyError, ValueError, RecursionError):
            return None

    def keyed(self, rows: Sequence[Any]) -> Keyed:
        """The rows with their key. It takes long for large ones, and may be made on any thread."""
        found = Keyed(rows)
        if isinstance(rows, Ranked):
            found.priority = rows.priority
        found.key = self.of(rows)
        return found

    def _plain(self, value: Any) -> Any:
        """The value, made of what `marshal` can write. A tuple in it always begins with the type that it stands for."""
        kind = type(value)
        if kind in _SCALARS:
            return value
        if kind is list:
            return value if set(map(type, value)) <= _SCALARS else [self._plain(one) for one in value]
        if kind is np.ndarray and value.dtype.kind in "biufc":
            return "array", value.dtype.str, value.shape, value.tobytes()
        if isinstance(value, BaseModel):
            return (self._number(kind), *self._of_model(value))
        if kind is dict:
            return "dict", [(self._plain(key), self._plain(one)) for key, one in value.items()]
        if kind is tuple:
            return "tuple", [self._plain(one) for one in value]
        if kind is set or kind is frozenset:
            return self._number(kind), sorted(marshal.dumps(self._plain(one), _VERSION) for one in value)
        if kind in _WRITTEN:
            return self._number(kind), repr(value)
        if isinstance(value, Enum):
            return self._number(kind), value.name
        raise _NoKey

    def _of_model(self, model: BaseModel) -> tuple[Any, ...]:
        """The values of the fields in their order, and whatever else an object can differ in, where it has that."""
        names, has, given = type(model).__pydantic_fields__, model.__dict__, model.__pydantic_fields_set__
        values = [self._plain(has[name]) for name in names]
        if len(given) == len(has) == len(names) and not model.__pydantic_extra__ and not model.__pydantic_private__:
            return (values,)
        others = {name: value for name, value in has.items() if name not in names}
        rest = [self._plain(one) for one in (others, model.__pydantic_extra__, model.__pydantic_private__)]
        return values, sorted(given), rest

    def _number(self, kind: type) -> int:
        return self._kinds.setdefault(kind, len(self._kinds))


class Keyed(Ranked):
    """Rows whose key was made with them."""

    key: bytes | None = None
