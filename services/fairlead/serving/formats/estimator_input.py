"""Makes the argument of a declared model's estimator from rows: a DataFrame, an array, or a list of texts.

An estimator that was fitted on columns with names gets its columns by name, in its own order. The order of the
manifest's `inputs` then means nothing, and an input that is missing or unknown is refused at load. An estimator without
names gets the inputs side by side, in the manifest's order, and only their number can be checked.

This is the only place that decides it. A further kind of argument, such as columns of texts beside numbers, is a
further function here.
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
from fairlead.contracts.manifest import Datatype, Tensor
from fairlead.serving.formats import datatypes

Convert = Callable[[Sequence[BaseModel]], Any]

HINT = (
    "Name the inputs as the columns that the estimator was fitted on, in any order. "
    "If a row has other fields than that, write a model.py with a fairlead.Model, and name the class in `entry`."
)
# The names that LightGBM and CatBoost make up for an array without names.
MADE_UP = ("Column_{}", "{}")


def of(estimator: Any, inputs: Sequence[Tensor]) -> Convert:
    """The function that makes the estimator's argument from a batch of rows.

    Raises Invalid, naming the columns, if `inputs` are not those that the estimator was fitted on.
    """
    names = column_names(estimator)
    if names is not None and _made_up(names) and {tensor.name for tensor in inputs} != set(names):
        names = None
    count = len(names) if names is not None else getattr(estimator, "n_features_in_", None)
    only = inputs[0] if len(inputs) == 1 else None
    if only is not None and len(only.shape) > 1:
        _check_width(only, count)
        return _matrix(only, names)
    if names is not None:
        _check_names([tensor.name for tensor in inputs], names)
        by_name = {tensor.name: tensor for tensor in inputs}
        return _named([by_name[name] for name in names])
    if only is not None and only.datatype == "BYTES":
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


def _check_names(inputs: Sequence[str], names: Sequence[str]) -> None:
    missing = [name for name in names if name not in inputs]
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
    value = operator.attrgetter(name)
    return lambda rows: [value(row) for row in rows]


def _array(tensors: Sequence[Tensor]) -> Convert:
    """The fields side by side, as an array [rows, fields] of `datatypes.argument_type`."""
    value, width = operator.attrgetter(*(tensor.name for tensor in tensors)), len(tensors)
    dtype = datatypes.argument_type([tensor.datatype for tensor in tensors])
    return lambda rows: np.array([value(row) for row in rows], dtype=dtype).reshape(len(rows), width)


def _matrix(tensor: Tensor, names: tuple[str, ...] | None) -> Convert:
    """The one tensor. Its values are the estimator's columns in the estimator's order, as nothing else names them."""
    values, dtype = _values(tensor.name), datatypes.argument_type([tensor.datatype])
    convert = values if tensor.datatype == "BYTES" else lambda rows: np.array(values(rows), dtype=dtype)
    return convert if names is None or len(tensor.shape) != 2 else _with_names(convert, names)


def _named(tensors: Sequence[Tensor]) -> Convert:
    """The fields as columns with names. A column has the type of its datatype, whatever the values are."""
    names = [tensor.name for tensor in tensors]
    array = datatypes.argument_type([tensor.datatype for tensor in tensors])
    types = [_column_type(tensor.datatype, array) for tensor in tensors]
    pandas = _pandas()
    if pandas is None or set(types) in ({np.float64}, {np.float32}):
        return _with_names(_array(tensors), names)
    read = [(name, operator.attrgetter(name), kind) for name, kind in zip(names, types, strict=True)]

    def to_frame(rows: Sequence[BaseModel]) -> Any:
        columns: dict[str, np.ndarray] = {
            name: np.array([value(row) for row in rows], dtype=kind) for name, value, kind in read
        }
        return pandas.DataFrame(columns, copy=False)

    return to_frame


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


def _column_type(datatype: Datatype, array: np.dtype[Any]) -> type:
    """The type of a column. All integers have one, that of the `array` of all inputs: numpy makes floats of two."""
    if datatype == "BYTES":
        return object
    if datatype == "BOOL":
        return bool
    if datatype in datatypes.INTEGERS:
        return np.uint64 if array.kind == "u" else np.int64
    return np.float32 if datatype == "FP32" else np.float64
