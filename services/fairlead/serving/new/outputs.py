"""The outputs of a manifest for a fitted estimator: what it answers to a row, and the classes that it knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from fairlead import errors
from fairlead.serving.new import asking
from fairlead.serving.new.inputs import MOST_CHOICES

Output = dict[str, Any]


def infer(estimator: Any, inputs: asking.Inputs, rows: Sequence[Mapping[str, Any]]) -> list[Output]:
    """The outputs: `label` and `predict_proba` of a classifier, `prediction` of any other, `transform` without predict.

    Raises Invalid if the answers have no form that a tensor has.
    """
    if not hasattr(estimator, "predict"):
        return [_output("transform", estimator, inputs, rows)]
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        return [_output("prediction", estimator, inputs, rows)]
    label = _output("label", estimator, inputs, rows)
    if not isinstance(classes, list) and len(label["shape"]) == 1 and label["datatype"] in ("BYTES", "INT64"):
        values = np.asarray(classes).tolist()
        if len(values) <= MOST_CHOICES and all(isinstance(value, str | int) for value in values):
            label["choices"] = values
    found = [label]
    if hasattr(estimator, "predict_proba"):
        with suppress(errors.Invalid):  # several outputs with different numbers of classes: no tensor has them
            found.append(_output("predict_proba", estimator, inputs, rows))
    return found


def _output(name: str, estimator: Any, inputs: asking.Inputs, rows: Sequence[Mapping[str, Any]]) -> Output:
    method = name if name in ("transform", "predict_proba") else "predict"
    values = asking.answer(estimator, inputs, rows, method)
    if hasattr(values, "toarray"):
        values = values.toarray()
    try:
        if isinstance(values, list) and method == "predict_proba":
            values = np.stack([np.asarray(one) for one in values], axis=1)
        array = np.asarray(values)
    except ValueError as cause:
        raise errors.Invalid(f"{method} returns arrays of different shapes: {cause}") from cause
    if array.ndim == 0 or len(array) != len(rows):
        raise errors.Invalid(
            f"{method} returns a {type(values).__name__} that does not have one answer per row",
            hint="Write a model.py with a fairlead.Model: docs/model-folder.md#writing-one.",
        )
    return {"name": name, "datatype": _datatype(array, method), "shape": [-1, *array.shape[1:]]}


def _datatype(array: np.ndarray, method: str) -> str:
    kind = array.dtype.kind
    if kind == "O":
        flat = array.ravel().tolist()
        kind = "U" if all(isinstance(value, str) for value in flat) else "b" if _are(bool, flat) else "f"
    if kind in "US":
        return "BYTES"
    if kind == "b":
        return "BOOL"
    return "INT64" if kind in "iu" and method == "predict" else "FP32" if array.dtype == np.float32 else "FP64"


def _are(kind: type, values: Sequence[Any]) -> bool:
    return all(isinstance(value, kind) for value in values)
