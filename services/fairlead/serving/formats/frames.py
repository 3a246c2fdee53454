"""Pandas DataFrames from rows, for `predict_frame`: one column per field, in the order of the row type.

The type of a column comes from the type of its field, never from the values. pandas infers `object` for a column that
holds only None, but `float64` where another row has a number: the same row would then be answered differently alone
and in a batch.

| field | column | missing |
|---|---|---|
| `float`, `Decimal` | float64 | NaN |
| `int` | int64; float64 if it may be missing, as in a table that pandas has read | NaN |
| `bool` | bool; boolean if it may be missing | NA |
| `Literal`, `Enum` | category with all its values, in their order | NaN |
| `str` | object | NaN |
| `datetime`, `date` | datetime64[us] without a zone, in UTC; a time without a zone is taken as UTC | NaT |
| `timedelta` | timedelta64[us] | NaT |
| any other | object: the field's value | None |
"""

from __future__ import annotations

import datetime
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, TypeAdapter

from fairlead.serving.formats import base, datatypes, field_kinds

if TYPE_CHECKING:
    import pandas as pd

Column = Callable[[Sequence[Any]], Any]
"""Makes a column from the values of one field."""


def frame(row_type: type[BaseModel], rows: Sequence[BaseModel | Mapping[str, Any]]) -> pd.DataFrame:
    """The frame that `predict_frame` gets for these rows. Train on it, and the model sees the same types later.

    Objects are validated first. Raises pydantic's ValidationError, or Unavailable if pandas is not installed.
    """
    return frames(row_type)(TypeAdapter(list[row_type]).validate_python(rows))  # type: ignore[valid-type]


def frames(row_type: type[BaseModel]) -> Callable[[Sequence[BaseModel]], pd.DataFrame]:
    """A function that makes frames of rows. Raises Unavailable if pandas is not installed."""
    pandas = base.library("pandas", extra="pandas", needed_for="predict_frame")
    fields = row_type.model_fields.items()
    return table([(name, name, _column(field.annotation, pandas)) for name, field in fields], pandas)


def table(columns: Sequence[tuple[str, str, Column]], pandas: Any) -> Callable[[Sequence[BaseModel]], pd.DataFrame]:
    """A function that makes frames of rows. Each column has the field that it holds, its name, and its function."""
    names = [name for _, name, _ in columns]
    makers = [make for _, _, make in columns]
    # Not attrgetter: to it, a field "a.b" is the attribute b of a.
    read = operator.itemgetter(*(field for field, _, _ in columns)) if columns else lambda values: ()

    def to_frame(rows: Sequence[BaseModel]) -> pd.DataFrame:
        found = [read(row.__dict__) for row in rows]
        if len(columns) == 1:
            fields: Sequence[Sequence[Any]] = [found]
        else:
            fields = list(zip(*found, strict=True)) or [()] * len(columns)
        made = {name: make(part) for name, make, part in zip(names, makers, fields, strict=True)}
        return pandas.DataFrame(made, copy=False)

    return to_frame


def _column(annotation: Any, pandas: Any) -> Column:
    objects = partial(pandas.Series, dtype=object)  # a plain array of texts would become another type in pandas 3
    kinds = set(field_kinds.kinds(annotation))
    nullable, kinds = type(None) in kinds, kinds - {type(None)}
    if choices := field_kinds.choices(annotation):
        return category(choices, pandas)
    if number := _number(annotation):
        return lambda values: np.array(values, dtype=number)
    if kinds == {bool}:
        return partial(pandas.array, dtype="boolean") if nullable else partial(np.array, dtype=bool)
    if kinds == {str}:
        return lambda values: objects([np.nan if value is None else value for value in values])
    if kinds and kinds <= {datetime.datetime, datetime.date}:
        return lambda values: np.array([_utc(value) for value in values], dtype="datetime64[us]")
    if kinds == {datetime.timedelta}:
        return lambda values: np.array(values, dtype="timedelta64[us]")
    return objects


def category(choices: Sequence[Any], pandas: Any) -> Column:
    """Makes a category column with all these values, or members of an Enum, in their order."""
    dtype = pandas.CategoricalDtype([getattr(choice, "value", choice) for choice in choices])
    codes = {None: -1} | {key: code for code, one in enumerate(choices) for key in (one, getattr(one, "value", one))}
    from_codes = partial(pandas.Categorical.from_codes, dtype=dtype, validate=False)
    return lambda values: from_codes(np.array([codes[value] for value in values], dtype=np.int64))


def integers(row_type: type[BaseModel]) -> Mapping[str, datatypes.Range]:
    """The range of the integers in those fields whose column is float64, which does not have every one of 64 bits."""
    fields = row_type.model_fields.items()
    return {name: datatypes.IN_FLOAT64 for name, field in fields if _number(field.annotation) == "float64"}


def _number(annotation: Any) -> str:
    """The type of the column for a field of numbers; empty for any other field."""
    kinds = set(field_kinds.kinds(annotation))
    if kinds == {int}:
        return "int64"
    kinds -= {type(None)}
    return "float64" if kinds and kinds <= field_kinds.NUMBERS else ""


def _utc(value: datetime.datetime | datetime.date | None) -> datetime.datetime | datetime.date | None:
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(datetime.UTC).replace(tzinfo=None)
    return value
