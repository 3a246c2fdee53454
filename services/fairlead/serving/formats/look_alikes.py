"""Values that Python calls equal and JSON tells apart: 1, 1.0 and true. A Literal or an Enum of one is not the others.

pydantic looks up the values of a Literal and of an Enum with `==`, and so the tags of a union. An `int` or a `bool` of
a strict model does not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any


class Exactly(tuple[Any, ...]):
    """Values among which another one is only if JSON has it so: a whole number may stand for a float."""

    __slots__ = ()

    def __contains__(self, value: object) -> bool:
        """Whether one of these is the value."""
        return any(value == one and _is_same_kind(value, one) for one in self)


def exactly(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values, with `in` as JSON has it. Without numbers that is Python's own, which is faster."""
    return Exactly(values) if _has_numbers(values) else values


def reading(values: Sequence[Any]) -> Callable[[Any], Any] | None:
    """A function that turns a JSON value into the one of these that it is, and a look-alike into none of them.

    None if none of the values is a number: then pydantic reads them as JSON has them.
    """
    plain = [one.value if isinstance(one, Enum) else one for one in values]
    if not _has_numbers(plain):
        return None
    known: dict[tuple[type, Any], Any] = {}
    for one, given in zip(plain, values, strict=True):
        for kind in (bool, int, float) if isinstance(one, int | float) else ():  # the kinds of JSON
            if kind(one) == one and _is_same_kind(kind(one), one):
                known.setdefault((kind, kind(one)), given)

    def read(value: Any) -> Any:  # called for every row
        kind = value.__class__
        if kind is not int and kind is not bool and kind is not float:
            return value
        found = known.get((kind, value), _NONE)
        return found if found is not _NONE or value in plain else value

    return read


def discriminator(key: str, tags: Sequence[Any]) -> Callable[[Any], Any] | None:
    """A function that pydantic calls for the tag of an object, instead of looking at its `key` itself.

    None if none of the tags is a number.
    """
    if (read := reading(tags)) is None:
        return None

    def find(value: Any) -> Any:  # called for every object, as a dict; what it raises would not become a 422
        tag = value.get(key) if isinstance(value, dict) else None
        return json.dumps(tag) if read(tag) is _NONE else tag

    find.__name__ = key  # the error says that the tag was found, or not, using `key()`
    return find


def _has_numbers(values: Sequence[Any]) -> bool:
    return any(isinstance(one, int | float) for one in values)


def _is_same_kind(value: object, one: object) -> bool:
    return isinstance(value, bool) == isinstance(one, bool) and (isinstance(value, int) or not isinstance(one, int))


_NONE = object()
"""What no Literal and no Enum has, so that the error is the same as for any other wrong value."""
