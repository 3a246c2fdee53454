"""Makes the argument of a declared model's estimator from rows: a DataFrame, an array, or a list of texts.

An estimator that was fitted on columns with names gets its columns by name, in its own order, each of its own type
(`estimator_columns`). The order of the manifest's `inputs` then means nothing, and an input that is missing or unknown
is refused at load. An estimator without names gets the inputs side by side, in the manifest's order, and only their
number can be checked.

This is the only place that decides it. A further kind of argument is a further function here.
"""

from __future__ import annotations

import importlib
import operator
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel

from fairlead import errors
from fairlead.contracts.manifest import Tensor
from fairlead.serving.formats import base, estimator_columns, frames
from fairlead.serving.formats.estimator_columns import array_type

Convert = Callable[[Sequence[BaseModel]], Any]

HINT = (
    "Name the inputs as the columns that the estimator was fitted on, in any order, or name the column in `column`. "
    "If a row has other fields than that, write a model.py with a fairlead.Model, and name the class in `entry`."
)
# The names that LightGBM and CatBoost make up for an array without names.
MADE_UP = ("Column_{}", "{}")


def of(estimator: Any, inputs: Sequence[Tensor]) -> Convert:
    """The function that makes the estimator's argument from a batch of rows.

    Raises Invalid, naming the columns, if `inputs` are not those that the estimator was fitted on, and Unavailable if
    it needs pandas, which is not installed.
    """
    names = column_names(estimator)
    stated = [tensor.in_table for tensor in inputs]
    if names is not None and _made_up(names) and set(stated) != set(names):
        names = None
    count = len(names) if names is not None else getattr(estimator, "n_features_in_", None)
    only = inputs[0] if len(inputs) == 1 else None
    if only is not None and len(only.shape) > 1:
        _check_width(only, count)
        return _matrix(only, names)
    if names is not None:
        _check_names(stated, names, dropped_columns(estimator, names))
        by_name = {tensor.in_table: tensor for tensor in inputs}
        return _named([by_name[name] for name in names if name in by_name])
    _check_nothing_of_a_table(inputs)
    if only is not None and only.datatype == "BYTES" and not only.nullable:
        return _values(only.name)
    if isinstance(count, int) and count != len(inputs):
        raise errors.Invalid(
            f"fairlead.yaml: inputs: there are {len(inputs)}, but the estimator was fitted on {count} columns",
            hint=HINT,
        )
    return _array(inputs)


def column_names(estimator: Any) -> tuple[str, ...] | None:
    """The names of the columns that an estimator or a booster was fitted on, in its order. None if it has no names."""
    estimator = _first_with_columns(estimator)
    for attribute in ("feature_names_in_", "feature_name_", "feature_names_", "feature_names", "feature_name"):
        found = getattr(estimator, attribute, None)
        if attribute == "feature_name" and callable(found):  # LightGBM's Booster
            found = found()
        if isinstance(found, Iterable) and not isinstance(found, str):
            names = tuple(found)
            if names and all(isinstance(name, str) for name in names):
                return tuple(map(str, names))
    return None


def _first_with_columns(estimator: Any) -> Any:
    """The first step of a pipeline that does something: "passthrough" has no attributes."""
    while (steps := getattr(estimator, "steps", None)) and isinstance(steps, list):
        doing = [step for _, step in steps if step is not None and step != "passthrough"]
        if not doing:
            break
        estimator = doing[0]
    return estimator


def _made_up(names: Sequence[str]) -> bool:
    return any(all(name == form.format(i) for i, name in enumerate(names)) for form in MADE_UP)


def dropped_columns(estimator: Any, names: Sequence[str]) -> frozenset[str]:
    """The columns that the estimator was fitted on and does not read: those that a ColumnTransformer drops."""
    estimator = _first_with_columns(estimator)
    read = getattr(estimator, "_transformer_to_input_indices", None)
    if not isinstance(read, dict) or not hasattr(estimator, "transformers_"):
        return frozenset()
    dropping = {name for name, transformer, _ in estimator.transformers_ if transformer == "drop"}
    used = {index for name, indices in read.items() if name not in dropping for index in indices}
    return frozenset(name for index, name in enumerate(names) if index not in used)


def _check_nothing_of_a_table(inputs: Sequence[Tensor]) -> None:
    for one in inputs:
        if one.column is not None or one.column_type not in (None, "object"):
            stated = "column" if one.column is not None else "column_type"
            raise errors.Invalid(
                f"fairlead.yaml: inputs: {one.name} has a `{stated}`, but the estimator was fitted without names of "
                "columns: it gets an array",
                hint=f"Leave out `{stated}`.",
            )


def _check_names(inputs: Sequence[str], names: Sequence[str], dropped: frozenset[str]) -> None:
    missing = [name for name in names if name not in inputs and name not in dropped]
    unknown = [name for name in inputs if name not in names]
    if not missing and not unknown:
        return
    differences = "; ".join(
        f"{kind} {', '.join(those)}" for kind, those in (("missing:", missing), ("unknown:", unknown)) if those
    )
    raise errors.Invalid(
        f"fairlead.yaml: inputs: the estimator was fitted on the columns {', '.join(names)}; {differences}", hint=HINT
    )


def _check_width(tensor: Tensor, count: int | None) -> None:
    if len(tensor.shape) == 2 and isinstance(count, int) and tensor.shape[1] not in (-1, count):
        raise errors.Invalid(
            f"fairlead.yaml: inputs: {tensor.name} has {tensor.shape[1]} values per row, "
            f"but the estimator was fitted on {count} columns",
            hint=f"Give {tensor.name} the shape [-1, {count}].",
        )


def _values(name: str) -> Convert:
    value = operator.itemgetter(name)  # not attrgetter: to it, "a.b" is the attribute b of a
    return lambda rows: [value(row.__dict__) for row in rows]


def _array(tensors: Sequence[Tensor]) -> Convert:
    """The fields side by side, as an array [rows, fields] of `array_type`, or of objects if there are texts."""
    value, width = operator.itemgetter(*(tensor.name for tensor in tensors)), len(tensors)
    if any(tensor.datatype == "BYTES" or tensor.column_type == "object" for tensor in tensors):
        return lambda rows: np.array([estimator_columns.objects(tensors, row) for row in _read(rows, tensors)], object)
    dtype = array_type(tensors)
    return lambda rows: np.array([value(row.__dict__) for row in rows], dtype=dtype).reshape(len(rows), width)


def _read(rows: Sequence[BaseModel], tensors: Sequence[Tensor]) -> list[list[Any]]:
    return [[row.__dict__[tensor.name] for tensor in tensors] for row in rows]


def _matrix(tensor: Tensor, names: tuple[str, ...] | None) -> Convert:
    """The one tensor. Its values are the estimator's columns in the estimator's order, as nothing else names them."""
    values, dtype = _values(tensor.name), array_type([tensor])
    convert = values if tensor.datatype == "BYTES" else lambda rows: np.array(values(rows), dtype=dtype)
    return convert if names is None or len(tensor.shape) != 2 else _with_names(convert, names)


def _named(tensors: Sequence[Tensor]) -> Convert:
    """The fields as columns with names. A column has the type of its input, whatever the values are."""
    array = array_type(tensors)
    types = [estimator_columns.type_of(tensor, array) for tensor in tensors]
    pandas = _pandas()
    is_array = pandas is None and all(map(estimator_columns.is_of_numpy, types))
    if is_array or set(types) in ({"float64"}, {"float32"}):
        return _with_names(_array(tensors), [tensor.in_table for tensor in tensors])
    pandas = base.library("pandas", extra="pandas", needed_for="an estimator that was fitted on a table")
    columns = [(one.name, one.in_table, estimator_columns.column(one, array, pandas)) for one in tensors]
    return frames.table(columns, pandas)


def _with_names(convert: Convert, names: Sequence[str]) -> Convert:
    pandas = _pandas()
    if pandas is None:
        # The columns are in the estimator's order, so scikit-learn's warning for each call would be wrong.
        warnings.filterwarnings("ignore", message="X does not have valid feature names", category=UserWarning)
        return convert
    index = pandas.Index(names)
    return lambda rows: pandas.DataFrame(convert(rows), columns=index, copy=False)


def _pandas() -> Any:
    """pandas, which only estimators with names need, or None: an array will do, unless columns are selected by name."""
    try:
        return importlib.import_module("pandas")
    except ModuleNotFoundError:
        return None
