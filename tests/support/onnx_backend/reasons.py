"""Finds the class of why a model of ONNX's tests is not answered as ONNX expects. Needs onnxruntime."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime

from support.onnx_backend.cases import Case
from support.onnx_backend.classes import CLASSES, NO_VALUES, NOT_FINITE, OTHERWISE, UNKNOWN


def class_of(case: Case, why: str) -> str:
    """The class of an error, or of an output that differs, as `why` tells it."""
    for said, reason in CLASSES.items():
        if re.search(said, why):
            return reason
    if has_no_values(case):
        return NO_VALUES
    if why.startswith("500") and not all(map(_is_finite, case.outputs)):
        return NOT_FINITE
    return OTHERWISE if not is_answered_by_onnxruntime(case) else UNKNOWN


def has_no_values(case: Case) -> bool:
    """Whether an input has a dimension of size 0."""
    return any(np.size(value) == 0 for value in case.inputs if isinstance(value, np.ndarray))


def _is_finite(value: Any) -> bool:
    return not isinstance(value, np.ndarray) or value.dtype.kind != "f" or bool(np.isfinite(value).all())


def is_answered_by_onnxruntime(case: Case) -> bool:
    """Whether onnxruntime, without Fairlead, gives the outputs that ONNX expects."""
    names = [one.name for one in case.model.graph.input]
    try:
        session = onnxruntime.InferenceSession(case.model.SerializeToString(), providers=["CPUExecutionProvider"])
        found = session.run(None, dict(zip(names, case.inputs, strict=False)))
    except Exception:  # its errors have no class in common
        return False
    return all(is_close(wanted, got, case) for wanted, got in zip(case.outputs, found, strict=True))


def is_close(wanted: Any, got: Any, case: Case) -> bool:
    """Whether an output is the one that ONNX expects."""
    if isinstance(wanted, list):
        same = isinstance(got, list) and len(got) == len(wanted)
        return same and all(is_close(*pair, case) for pair in zip(wanted, got, strict=True))
    if wanted is None or got is None:
        return wanted is got
    one, other = np.asarray(wanted), np.asarray(got)
    if one.shape != other.shape:
        return False
    if one.dtype.kind in "OUS":
        return _texts(one) == _texts(other)
    with np.errstate(all="ignore"):
        return bool(np.isclose(other, one, rtol=case.rtol, atol=case.atol, equal_nan=True).all())


def _texts(values: np.ndarray) -> Sequence[str]:
    return [one.decode() if isinstance(one, bytes) else str(one) for one in values.ravel().tolist()]
