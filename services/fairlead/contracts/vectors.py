"""Vectors of a profile, such as embeddings: how they are measured, and what the reference has."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, FiniteFloat, StringConstraints

from fairlead.contracts.base import Document

DIRECTIONS = 128
MAX_VECTORS = 4
WIDE = 32
"""A list of more numbers than this is measured as one vector, and not at each of its places."""
MAX_SIZE = 8192
"""The most numbers of a vector."""
_Name = Annotated[str, StringConstraints(min_length=1, max_length=80)]


class VectorFeature(Document):
    """A list of always as many numbers. The directions follow from `size`, `scale` and `seed`."""

    name: _Name
    """The label `feature` of its metrics."""
    field: _Name
    """The field of the row."""
    size: Annotated[int, Field(ge=2, le=MAX_SIZE)]
    scale: Annotated[FiniteFloat, Field(gt=0)]
    """The width of the kernel, in the units of the vectors: how far apart two of them are."""
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    rows: Annotated[int, Field(ge=1, le=2**53)]
    """The vectors of the reference: its rows without those that have a number that is not finite."""
    means: Annotated[
        tuple[Annotated[FiniteFloat, Field(ge=0, le=1)], ...], Field(min_length=DIRECTIONS, max_length=DIRECTIONS)
    ]
    """The mean of each direction's waves."""
    critical: Annotated[FiniteFloat, Field(gt=0)]
    """What the squared MMD of n and m vectors without drift exceeds in one of 1,000 looks, divided by 1/n + 1/m."""
