"""Slices of a profile: rows that are counted by themselves too, so that drift of a few users is not lost in the whole.

A slice is declared when the profile is built, as `NAME: FIELD=VALUE[,VALUE...]` or, for a number, as
`NAME: FIELD=FROM..TO`. Services count its rows in the bins of all features.
"""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import Field, FiniteFloat, StringConstraints, ValidationError, model_validator

from fairlead import errors
from fairlead.contracts.base import Document

MAX_SLICES = 8
MAX_SLICE_VALUES = 20
_DECLARED = re.compile(r"\s*([^:=]*?)\s*:\s*(.+?)\s*=\s*(.*?)\s*", re.DOTALL)
_RANGE = re.compile(r"([^.,]*(?:\.[^.,]+)?)\.\.(.*)")
_SHAPE = "Write `NAME: FIELD=VALUE,VALUE`, or for a number `NAME: FIELD=FROM..TO`, where FROM or TO may be left out."


class Condition(Document):
    """Which rows are in a slice: those whose field has one of the values, or is a number of a range."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]
    """The label `slice` of its metrics."""
    field: Annotated[str, StringConstraints(min_length=1, max_length=80)]
    values: Annotated[tuple[Annotated[str, StringConstraints(max_length=64)], ...], Field(max_length=MAX_SLICE_VALUES)]
    """The texts of the values; none if the slice is a range."""
    start: FiniteFloat | None = None
    """The range has this number and larger ones,"""
    end: FiniteFloat | None = None
    """and smaller ones than this; None: without a bound."""

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if bool(self.values) == self.is_range:
            raise ValueError("a slice has either values or a range")
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError("the range of a slice must ascend")
        return self

    @property
    def is_range(self) -> bool:
        """Whether it is a range of a number."""
        return self.start is not None or self.end is not None

    @property
    def text(self) -> str:
        """The condition as it is declared, without the name."""
        if not self.is_range:
            return f"{self.field}={','.join(self.values)}"
        start, end = ("" if one is None else repr(one).removesuffix(".0") for one in (self.start, self.end))
        return f"{self.field}={start}..{end}"


class Slice(Condition):
    """A slice of the reference: its rows in each bin of each feature, in the order of `Profile.every`."""

    rows: Annotated[int, Field(ge=1, le=2**53)]
    counts: tuple[tuple[Annotated[int, Field(ge=0, le=2**53)], ...], ...]


def declared(text: str) -> Condition:
    """The condition that a text declares. Raises Invalid."""
    found = _DECLARED.fullmatch(text)
    if not found:
        raise errors.Invalid(f"--slice: {text!r} declares no slice", hint=_SHAPE)
    name, field, of = found.groups()
    try:
        return Condition(name=name, field=field, **_of(of))
    except ValueError as cause:
        raise errors.Invalid(f"--slice: {text!r}: {_why(cause)}", hint=_SHAPE) from cause


def _of(text: str) -> dict[str, object]:
    """What is on the right of the `=`: a range, if it is numbers around two dots."""
    bounds = _RANGE.fullmatch(text)
    try:
        start, end = (float(one) if one.strip() else None for one in bounds.groups()) if bounds else (None, None)
    except ValueError:  # two dots in a value
        start = end = None
    if start is not None or end is not None:
        return {"values": (), "start": start, "end": end}
    return {"values": tuple(dict.fromkeys(one.strip() for one in text.split(",")))}


def _why(cause: ValueError) -> str:
    found = cause.errors() if isinstance(cause, ValidationError) else []
    return str(found[0]["msg"]).removeprefix("Value error, ") if found else str(cause)
