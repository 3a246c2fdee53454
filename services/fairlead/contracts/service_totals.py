"""Totals: what a model service has counted since its process started, for the gates that judge by it.

They are in the page that the control plane reads for answer records (`contracts.answers`). Counts, never rates.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Annotated

from pydantic import Field, FiniteFloat

from fairlead.contracts.base import Document

ERROR_BOUNDS = tuple(float(f"{digit}e{power}") for power in range(-6, 10) for digit in (1, 2, 5))
"""The absolute errors at which a service counts predictions that are numbers."""

Count = Annotated[int, Field(ge=0)]


class Totals(Document):
    """Sums over all workers of one service since it started."""

    labels: Count | None = None
    """Labels that were counted; None if the service takes no feedback."""
    wrong: Count = 0
    """Of these, the labels with another class than was predicted."""
    errors: tuple[Count, ...] = ()
    """Of predicted numbers: how many erred by more than each of ERROR_BOUNDS. Empty for classes."""
    rows: Count = 0
    """Rows that were answered."""
    cpu_s: Annotated[FiniteFloat, Field(ge=0)] | None = None
    """CPU seconds of all its processes; None if a part of them is not known."""
    bins: dict[str, Count] = {}
    """Rows in each bin of the number that was answered. Every bin is there, also with 0. Empty without such bins."""


def error_place(error: float) -> int:
    """How many of ERROR_BOUNDS an absolute error is above."""
    return bisect_left(ERROR_BOUNDS, error)


def nearest_bound(error: float) -> float:
    """The bound that is nearest to a positive number, as a ratio."""
    return min(ERROR_BOUNDS, key=lambda bound: max(bound / error, error / bound))
