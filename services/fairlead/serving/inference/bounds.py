"""Bounds what a request body can cost, before it is validated: one request must not delay all others.

Validation runs on the event loop and holds the interpreter, so nothing can interrupt it. Most bodies are too small to
break a bound, which their length says. Only for larger ones the characters of JSON are counted, at the speed of
`bytes.count`. Where text has such characters too, they are counted again without the text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pydantic_core

from fairlead import errors
from fairlead.serving import interpreter
from fairlead.serving.inference import schema_walk

CONTAINER_VALUES = 4
"""An object or a list counts as so many values: it needs about 500 bytes while it is validated, a number about 50."""
LISTED_ERRORS = 4000
"""The most errors that a body may produce for all of them to be listed: about 10 ms."""
WORK = 200_000
"""The most validations of nested values of a type that contains itself through a union: about 40 ms."""
_CONTAINER_COST = 5 / 3
"""The most values per byte of a body: `[],` has three bytes, and counts as a container and a comma."""
_OTHERS = bytes(set(range(256)) - set(b'",:[{'))
_KEY_BYTES = 5
"""The shortest key and value: `"":1,`."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Most values in one request body, most keys in one of its rows, and most bytes of the answers to it."""

    values: int = 300_000
    row_keys: int = 8192
    answer_bytes: int = 16 * 1024 * 1024


class Bounds:
    """The bounds of the bodies for one row type."""

    def __init__(self, schema: Mapping[str, Any], limits: Limits, keys: int = 0) -> None:
        """`schema` is the core schema of a row. A row may have so many `keys`, whatever the limits are."""
        self._cost = schema_walk.cost(schema)
        self._values = limits.values
        # A key that no alternative of a union knows is an error in each of them.
        self._keys = max(limits.row_keys // self._cost.alternatives, self._cost.fields, keys)
        self._growth = self._cost.growth
        self.is_divisible = self._growth == 1
        """Whether the rows of a body may be read apart: what they cost has no bound that only the whole body shows."""
        self._few_values = int(limits.values / _CONTAINER_COST)
        self.harmless = 0 if self._growth > 1 else min(self._few_values, self._keys * _KEY_BYTES)
        """A body of so many bytes breaks no bound, so it need not be checked."""

    def check_row(self, body: bytes) -> None:
        """Raise Invalid if a body that is one row, or tensors, has too many values or keys."""
        if len(body) > self.harmless:
            self._check_values(body)
            if _count(body, b":", over=self._keys) > self._keys:
                raise self._too_many_keys(("body",))
            self._check_depth(body)

    def check_rows(self, body: bytes) -> bool:
        """Whether a body that has a list of rows is so large that each row must be checked too, by `check_each_row`.

        Raises Invalid if it has too many values, or more keys than all its rows can have.
        """
        if len(body) <= self.harmless:
            return False
        self._check_values(body)
        self._check_depth(body)
        found = _count(body, b":", over=self._keys)
        # Where no value is a mapping, the number of objects limits the number of keys.
        if self._cost.widest is not None and found > interpreter.count(body, b"{") * self._cost.widest + self._keys:
            raise self._too_many_keys(("body",))
        return found > self._keys

    def may_list_errors(self, body: bytes) -> bool:
        """Whether so few errors can be in this body that all of them may be built."""
        values = sum(map(body.count, (b",", b":", b"{", b"["))) + 1
        return values * self._cost.errors <= LISTED_ERRORS

    def _check_values(self, body: bytes) -> None:
        if (
            len(body) > self._few_values
            and _values(body) > self._values
            and _values(_without_text(body)) > self._values
        ):
            message = (
                f"the body has more than {self._values} values; an object or a list counts as {CONTAINER_VALUES}. "
                "Send it in several requests"
            )
            raise errors.Invalid.at(("body",), message, "too_many_values")

    def check_each_row(self, body: bytes) -> None:
        """Raise Invalid if a row has too many keys. It reads the whole body."""
        document = _document(body)
        place: tuple[str | int, ...] = ("body",)
        rows = document
        if isinstance(document, dict):
            if len(document) > self._keys:
                raise self._too_many_keys(place)
            rows, place = document.get("instances"), (*place, "instances")
        for index, row in enumerate(rows if isinstance(rows, list) else ()):
            if sum(len(part) for level in _levels(row) for part in level if isinstance(part, dict)) > self._keys:
                raise self._too_many_keys((*place, index))

    def _check_depth(self, body: bytes) -> None:
        if self._growth == 1:
            return
        depth = sum(1 for _ in _levels(_document(body)))
        # Logarithms, because the number itself can be beyond any float.
        if math.log(_values(body) + 1) + depth * math.log(self._growth) > math.log(WORK):
            message = (
                f"the body is nested too deep ({depth} levels): the row contains itself through a union, so each level "
                "multiplies the work. A union with a discriminator has no such limit"
            )
            raise errors.Invalid.at(("body",), message, "too_deep")

    def _too_many_keys(self, loc: tuple[str | int, ...]) -> errors.Invalid:
        return errors.Invalid.at(loc, f"more than {self._keys} keys", "too_many_keys")


def _values(body: bytes) -> int:
    commas, objects, lists = (interpreter.count(body, mark) for mark in (b",", b"{", b"["))
    return commas + CONTAINER_VALUES * (objects + lists)


def _count(body: bytes, character: bytes, over: int) -> int:
    """How often a character occurs; not in text, if it occurs more than `over` times."""
    found = interpreter.count(body, character)
    return found if found <= over else _without_text(body).count(character)


def _without_text(body: bytes) -> bytes:
    """The marks of a body, `,:[{`, that are not in keys and texts."""
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body
    marks = plain.translate(None, _OTHERS).replace(b'""', b"")
    if b'"' not in marks:
        return marks
    characters = np.frombuffer(marks, np.uint8)
    outside = np.cumsum(characters == ord('"'), dtype=np.uint8) % 2 == 0
    return bytes(characters[outside])


def _document(body: bytes) -> Any:
    try:
        return pydantic_core.from_json(body)
    except ValueError:  # not JSON: the validation ends where this ended, and says so
        return None


def _levels(document: Any) -> Iterator[list[Any]]:
    """The objects and lists of a JSON document, level by level."""
    level = [document] if isinstance(document, dict | list) else []
    while level:
        yield level
        level = [
            inner
            for part in level
            for inner in (part.values() if isinstance(part, dict) else part)
            if isinstance(inner, dict | list)
        ]
