"""Finds keys that occur twice in a JSON object: parsers take the last value without a word, and which one was meant?

Looking at every key costs as much as decoding the row, so `KeyCount` counts first. A flat row has as many colons as
keys, and a colon more may mean a key more. Where text has colons, the names in quotes are counted. Only if the numbers
still differ (nested objects, text with quotes), the body is read again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from fairlead import errors
from fairlead.serving import interpreter

Pairs = list[tuple[str, Any]]
SEARCHED_BYTES = 64 * 1024
"""In a larger body a key that occurs twice is named without its place, because finding that takes longer than all else.
"""


class KeyCount:
    """Checks the bodies of one row type."""

    def __init__(self, row_type: type[BaseModel], names: Sequence[str], *, is_flat: bool) -> None:
        """`names` are the keys of a row. `is_flat`: no value is an object.

        `is_countable` says then whether each key is one field, so that keys can be counted instead of compared.
        """
        # Validators of the author can set fields that the JSON did not have.
        has_validators = bool(row_type.__pydantic_decorators__.model_validators)
        self._fields_are_keys = not has_validators and row_type.model_post_init is BaseModel.model_post_init
        config = row_type.model_config
        has_other_names = config.get("populate_by_name") or config.get("validate_by_name")
        has_choices = any(
            not isinstance(field.validation_alias, str | None) for field in row_type.model_fields.values()
        )
        is_complete = self._fields_are_keys and all(field.is_required() for field in row_type.model_fields.values())
        self.of_a_row = len(row_type.model_fields) if is_complete else 0
        """The keys of each valid row, if all have the same; otherwise 0."""
        self._quoted = tuple(f'"{name}"'.encode() for name in names)
        self.is_countable = is_flat and self._fields_are_keys and not has_other_names and not has_choices

    def are_all(self, body: bytes, rows: Sequence[BaseModel], others: int) -> bool:
        """Whether the body has no other keys than those of the rows and `others`, and none twice; if `is_countable`."""
        return interpreter.count(body, b":") == self._of(rows) + others

    def check_row(self, body: bytes, row: BaseModel) -> None:
        """Raise Invalid if a key of the row that was read from `body` occurs twice."""
        keys = self.of_a_row or len(row.__pydantic_fields_set__)
        if interpreter.count(body, b":") != keys or not self._fields_are_keys:
            self._look(body, keys)

    def check_rows(self, body: bytes, rows: Sequence[BaseModel], others: int = 0) -> None:
        """The same for several rows. `others` is the number of keys outside the rows."""
        keys = self._of(rows)
        if interpreter.count(body, b":") != keys + others or not self._fields_are_keys:
            self._look(body, keys, others)

    def _of(self, rows: Sequence[BaseModel]) -> int:
        """The keys of these rows."""
        return self.of_a_row * len(rows) or sum([len(row.__pydantic_fields_set__) for row in rows])

    def _look(self, body: bytes, keys: int, others: int = 0) -> None:
        if self.is_countable and not others and b"\\" not in body and sum(map(body.count, self._quoted)) == keys:
            return
        check(body)


def check(body: bytes | str, place: tuple[str | int, ...] = ("body",)) -> None:
    """Raise Invalid, with the key and where it is, if an object has a key twice. The body must be valid JSON."""
    try:
        json.loads(body, object_pairs_hook=_unique, parse_int=float)
    except _Duplicate as found:
        inside = _place(body) if len(body) <= SEARCHED_BYTES else (found.key,)
        raise _twice((*place, *inside)) from None


class _Duplicate(Exception):
    """An object has a key twice."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key


class _Object:
    """A JSON object with all its keys."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs


def _unique(pairs: Pairs) -> None:
    if len(pairs) > 1 and len(dict(pairs)) != len(pairs):
        raise _Duplicate(Counter(key for key, _ in pairs).most_common(1)[0][0])


def _place(body: bytes | str) -> tuple[str | int, ...]:
    """The first key that occurs twice, after the place of its object."""
    key, *inside = _find(json.loads(body, object_pairs_hook=_Object, parse_int=float)) or ("",)
    return (*inside, key)


def _twice(loc: tuple[str | int, ...]) -> errors.Invalid:
    return errors.Invalid.at(loc, f"the key {loc[-1]!r} occurs twice in one object", "duplicate_key")


def _find(node: Any, place: tuple[str | int, ...] = ()) -> tuple[Any, ...] | None:
    """The first key that occurs twice, and then the place of its object."""
    if isinstance(node, _Object):
        seen: set[str] = set()
        for key, value in node.pairs:
            if key in seen:
                return (key, *place)
            seen.add(key)
            if found := _find(value, (*place, key)):
                return found
    if isinstance(node, list):
        for index, value in enumerate(node):
            if found := _find(value, (*place, index)):
                return found
    return None
