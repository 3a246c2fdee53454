"""Checks of response bodies. They are plain data, so that they can be pickled for the generator's process."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class OneOf:
    """Whether the body is exactly one of these."""

    bodies: frozenset[bytes]

    @classmethod
    def these(cls, *bodies: bytes) -> OneOf:
        return cls(frozenset(bodies))

    def __call__(self, index: int, body: bytes) -> bool:
        return body in self.bodies


@dataclass(frozen=True, slots=True)
class InTurnOneOf:
    """Whether the body of response `index` is in the set at `index` modulo their count."""

    bodies: Sequence[frozenset[bytes]]

    def __call__(self, index: int, body: bytes) -> bool:
        return body in self.bodies[index % len(self.bodies)]


@dataclass(frozen=True, slots=True)
class SameValues:
    """Whether the body is this JSON, but for rounding: linear algebra adds a batch up in another order than a row."""

    body: bytes

    def __call__(self, index: int, body: bytes) -> bool:
        try:
            return body == self.body or _same(json.loads(body), json.loads(self.body))
        except ValueError:
            return False


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9)
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(map(_same, one.values(), other.values()))
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and bool(one == other)
