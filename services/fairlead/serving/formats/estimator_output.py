"""Reads what a declared model's estimator returns: an array whose first axis is the rows, or ModelFailed.

An answer is never taken apart along another axis. `predict_proba` of an estimator with several outputs is a list with
one array [rows, classes] per output: it becomes one array [rows, outputs, classes].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fairlead import errors
from fairlead.contracts.manifest import Tensor

PER_OUTPUT = frozenset({"predict_proba", "predict_log_proba"})
"""The methods that return a list with one array per output, if the estimator has several outputs."""
HINT = "Declare the output's shape as the estimator answers it, or write a model.py with a fairlead.Model."


def by_row(values: Any, method: str, output: Tensor, rows: int) -> np.ndarray:
    """The result of `method` for `rows` rows, as an array with the output's shape. Raises ModelFailed."""
    if type(values) is np.ndarray and values.shape == (rows, *output.shape[1:]) and values.dtype.kind in "biufUS":
        return values  # the common case
    if method in PER_OUTPUT and isinstance(values, list | tuple) and values and all(map(_is_matrix, values)):
        values = _stacked(values, method)
    array = _as_array(values, method)
    if array.ndim == 0 or len(array) != rows:
        got = f"a {type(values).__name__}" if array.ndim == 0 else f"an array of the shape {list(array.shape)}"
        raise errors.ModelFailed(f"{method} returned {got} for {rows} rows; its first dimension must be the rows")
    if array.dtype.kind in "mMV":  # as Python values they would be numbers of nanoseconds, or tuples
        raise errors.ModelFailed(f"{method} returned values of the type {array.dtype}, which no datatype stands for")
    if array.dtype.kind == "O":
        array = _plain(array)
        if array.ndim < len(output.shape):  # each element is a list, and rows may have lists of different lengths
            return array
    return _in_shape(array, method, output)


def _stacked(values: Sequence[Any], method: str) -> np.ndarray:
    arrays = [np.asarray(value) for value in values]
    if len({array.shape for array in arrays}) > 1:
        widths = ", ".join(str(array.shape[1]) for array in arrays)
        raise errors.ModelFailed(
            f"{method} returned one array per output, with {widths} classes; one tensor cannot hold them",
            hint="Write a model.py with a fairlead.Model whose answer has a field for each output.",
        )
    return np.stack(arrays, axis=1)


def _as_array(values: Any, method: str) -> np.ndarray:
    if hasattr(values, "toarray"):  # a sparse matrix, which numpy would wrap as one object
        values = values.toarray()
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise errors.ModelFailed(f"{method} returned an array with masked values, which no datatype stands for")
    try:
        array = np.asarray(values)
    except ValueError as cause:  # rows of different lengths
        raise errors.ModelFailed(f"{method} returned a {type(values).__name__} that is no array: {cause}") from cause
    if array.dtype.kind in "US" and isinstance(values, list | tuple):
        return np.asarray(values, dtype=object)  # numpy makes texts of the numbers beside texts
    return array


def _plain(array: np.ndarray) -> np.ndarray:
    """An array of Python objects, without numpy's own types in it: they are no numbers or texts of Python."""
    plain = np.empty(array.shape, dtype=object)
    for place, value in np.ndenumerate(array):
        plain[place] = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
    return plain


def _in_shape(array: np.ndarray, method: str, output: Tensor) -> np.ndarray:
    """The array itself, or with a last dimension of 1 added or removed: both forms of one number per row are usual."""
    for found in (array, array[..., 0] if array.ndim > 1 and array.shape[-1] == 1 else array, array[..., np.newaxis]):
        if len(found.shape) == len(output.shape) and all(
            declared in (-1, size) for declared, size in zip(output.shape[1:], found.shape[1:], strict=True)
        ):
            return found
    raise errors.ModelFailed(
        f"{method} returned an array of the shape {list(array.shape)}, "
        f"but output {output.name!r} is declared with the shape {list(output.shape)}",
        hint=HINT,
    )


def _is_matrix(value: Any) -> bool:
    return getattr(value, "ndim", 0) == 2
