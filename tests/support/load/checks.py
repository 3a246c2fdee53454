"""Checks of response bodies. They are plain data, so that they can be pickled for the generator's process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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
