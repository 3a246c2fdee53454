"""Calls a model with rows once, without a service: for the golden rows of a folder that is written.

It chooses `predict` or `predict_columns` and checks the answers. `inference.model_calls` serves requests.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel

from fairlead import errors
from fairlead.model import Model
from fairlead.serving.formats.author_code import described


def takes_columns(model: Model[Any, Any]) -> bool:
    """Whether the model class overrides `predict_columns`."""
    return type(model).predict_columns is not Model.predict_columns


def columns(row_type: type[BaseModel]) -> Callable[[Sequence[BaseModel]], np.ndarray]:
    """A function that converts rows to a float64 array [rows, fields], with the fields in the order of the row type."""
    width = len(row_type.model_fields)
    values = operator.attrgetter(*row_type.model_fields)

    def to_array(rows: Sequence[BaseModel]) -> np.ndarray:
        return np.array([values(row) for row in rows], dtype=np.float64).reshape(len(rows), width)

    return to_array


def answer(model: Model[Any, Any], rows: Sequence[BaseModel]) -> list[BaseModel]:
    """The model's answers to a batch, one per row. Raises ModelFailed if the model raises or breaks its contract."""
    name = "predict_columns" if takes_columns(model) else "predict"
    try:
        answers = (
            model.predict_columns(columns(type(rows[0]))(rows)) if takes_columns(model) else model.predict(list(rows))
        )
    except errors.FairleadError:
        raise
    except SystemExit as cause:
        raise errors.ModelFailed(f"{name} failed: {described(cause)}") from cause
    except Exception as cause:  # the author's code may raise anything
        raise errors.ModelFailed(f"{name} raised {type(cause).__name__}: {cause}") from cause
    if not isinstance(answers, list | tuple) or len(answers) != len(rows):
        got = f"{len(answers)} answers" if isinstance(answers, list | tuple) else f"a {type(answers).__name__}"
        raise errors.ModelFailed(
            f"{name} got {len(rows)} rows and returned {got}; return a list with one answer per row"
        )
    for found in answers:
        if not isinstance(found, model.answer_type):
            raise errors.ModelFailed(f"{name} returned a {type(found).__name__}, not a {model.answer_type.__name__}")
    return list(answers)
