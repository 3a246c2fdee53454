"""Asks a fitted estimator a row, in the way in which a served one gets it."""

from __future__ import annotations

import types
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fairlead import errors
from fairlead.contracts.manifest import Tensor
from fairlead.serving.formats import estimator_input
from fairlead.serving.formats.author_code import author_code

Inputs = Sequence[Mapping[str, Any]]


def answer(estimator: Any, inputs: Inputs, rows: Sequence[Mapping[str, Any]], method: str | None = None) -> Any:
    """What a method of the estimator returns for rows; `predict`, or `transform` if there is none.

    Raises Invalid if `inputs` do not fit the estimator, and ModelFailed if it raises, or answers with NaN.
    """
    convert = estimator_input.of(estimator, [Tensor.model_validate(one) for one in inputs])
    method = method or ("predict" if hasattr(estimator, "predict") else "transform")
    with warnings.catch_warnings(), author_code(f"{method} failed"):
        warnings.simplefilter("ignore")
        made: Any = [types.SimpleNamespace(**row) for row in rows]
        found = getattr(estimator, method)(convert(made))
    if not _is_finite(found):
        raise errors.ModelFailed(f"{method} returned NaN or infinity, which is no answer")
    return found


def _is_finite(found: Any) -> bool:
    parts = (
        found if isinstance(found, list) else [getattr(found, "data", found) if hasattr(found, "toarray") else found]
    )
    arrays = [np.asarray(part) for part in parts]
    return all(bool(np.isfinite(array).all()) for array in arrays if array.dtype.kind == "f")
