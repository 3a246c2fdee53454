"""The quality of a version on held-out rows whose truth is known, which is a part of its profile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, FiniteFloat, StringConstraints, model_validator

from fairlead.contracts.base import Document

MOST_CLASSES = 16
"""How many classes have a place of their own; all others share one."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=80)]
Count = Annotated[int, Field(ge=0, le=2**53)]
Sum = Annotated[FiniteFloat, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Curve(Document):
    """How often a prediction is right, by how sure the model is. Between the points it is read linearly."""

    scores: Annotated[tuple[FiniteFloat, ...], Field(min_length=1, max_length=50)]
    right: tuple[Share, ...]
    """The share of right predictions at each score."""

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if len(self.right) != len(self.scores):
            raise ValueError("a curve has a share for each score")
        if any(one >= other for one, other in zip(self.scores, self.scores[1:], strict=False)):
            raise ValueError("scores must ascend")
        return self


class ClassQuality(Document):
    """Held-out rows by the class that was predicted and the true one."""

    kind: Literal["class"] = "class"
    classes: Annotated[tuple[Name, ...], Field(min_length=1, max_length=MOST_CLASSES + 1)]
    """The last one is of all that have no place of their own."""
    outcomes: tuple[Count, ...]
    """Rows in each cell: for each predicted class all true ones; then those whose class has no place and is right."""
    curves: Annotated[tuple[Curve, ...], Field(max_length=MOST_CLASSES)] = ()
    """One for each predicted class with a place; none if answers do not say how sure they are of each class."""

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if len(self.outcomes) != len(self.classes) ** 2 + 1:
            raise ValueError(f"{len(self.outcomes)} outcomes for {len(self.classes)} classes")
        if self.curves and len(self.curves) != len(self.classes) - 1:
            raise ValueError(f"{len(self.curves)} curves for {len(self.classes)} classes")
        return self

    @property
    def described(self) -> str:
        """In words: `91.3% right`."""
        named = zip(cells(self.classes), self.outcomes, strict=True)
        right = sum(count for (*_, correct), count in named if correct == "true")
        return f"{right / max(1, sum(self.outcomes)):.1%} right"


class NumberQuality(Document):
    """By how much predicted numbers were off on held-out rows."""

    kind: Literal["number"] = "number"
    rows: Annotated[int, Field(ge=1, le=2**53)]
    absolute_errors: Sum
    """The sum of the absolute differences."""
    squared_errors: Sum

    @property
    def described(self) -> str:
        """In words: `mean absolute error 12.5`."""
        return f"mean absolute error {self.absolute_errors / self.rows:.4g}"


Quality = ClassQuality | NumberQuality


def cells(classes: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """What each cell is of: predicted, truth, and whether they are the same. The last class is no single one."""
    for row, predicted in enumerate(classes):
        for column, truth in enumerate(classes):
            yield predicted, truth, "true" if row == column < len(classes) - 1 else "false"
    yield classes[-1], classes[-1], "true"


def cell(classes: int, predicted: int, truth: int, *, is_same: bool) -> int:
    """The index of a cell, by the indices of the classes, of which there are so many."""
    if predicted == truth == classes - 1 and is_same:
        return classes * classes
    return predicted * classes + truth
