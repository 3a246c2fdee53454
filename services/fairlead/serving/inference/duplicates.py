"""Finds keys that occur twice in a JSON object: parsers take the last value without a word, and which one was meant?

Looking at every key costs as much as decoding the row, so the callers count first: a flat row has as many colons as
keys, and a colon more means a key more. Only where the numbers differ (text with colons, nested objects) is the body
read again here.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from fairlead import errors

Pairs = list[tuple[str, Any]]


def fields_are_keys(row_type: type[BaseModel]) -> bool:
    """Whether the fields set in a row are the keys that its JSON had. Validators of the author can set others."""
    has_validators = bool(row_type.__pydantic_decorators__.model_validators)
    return not has_validators and row_type.model_post_init is BaseModel.model_post_init


def check(body: bytes | str, place: tuple[str | int, ...] = ("body",)) -> None:
    """Raise Invalid, with the key and where it is, if an object has a key twice. The body must be valid JSON."""
    try:
        json.loads(body, object_pairs_hook=_unique, parse_int=float)
    except _Duplicate:
        raise _located(body, place) from None


class _Duplicate(Exception):
    """An object has a key twice."""


class _Object:
    """A JSON object with all its keys."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs


def _unique(pairs: Pairs) -> None:
    if len(pairs) > 1 and len(dict(pairs)) != len(pairs):
        raise _Duplicate


def _located(body: bytes | str, place: tuple[str | int, ...]) -> errors.Invalid:
    document = json.loads(body, object_pairs_hook=_Object, parse_int=float)
    key, *inside = _find(document) or ("",)
    loc = (*place, *inside, key)
    where = ".".join(str(part) for part in loc)
    msg = f"the key {key!r} occurs twice in one object"
    return errors.Invalid(f"{where}: {msg}", details=(errors.Detail(loc, msg, "duplicate_key"),))


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
