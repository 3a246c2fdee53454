"""Gives a model its rows in the form that its class takes, and checks the answers of a call without a service.

`answer` is that call, for the golden rows of a folder that is written. `inference.model_calls` serves requests.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
from pydantic import BaseModel

from fairlead import errors
from fairlead.model import Model
from fairlead.serving.formats import frames, methods
from fairlead.serving.formats.author_code import described

NUMBERS = (float, int, bool)


def calls(model: Model[Any, Any], row_type: type[BaseModel]) -> Callable[[list[Any]], object]:
    """The function that gives the model a batch in the form that its class takes: rows, an array or a frame.

    Raises ModelFailed if the class takes an array and a field is not a number, and Unavailable if it takes a frame and
    pandas is not installed.
    """
    name = methods.answering(type(model))
    if name == "predict":
        return model.predict
    if name == "predict_frame":
        predict_frame, to_frame = model.predict_frame, frames.frames(row_type)
        return lambda rows: predict_frame(to_frame(rows))
    if others := [name for name, field in row_type.model_fields.items() if field.annotation not in NUMBERS]:
        raise errors.ModelFailed(
            f"{type(model).__name__} defines predict_columns, which needs a number in every field; "
            f"{row_type.__name__} has none in {', '.join(others)}",
            hint="Write predict_frame, which gets a pandas DataFrame, or predict, which gets the rows.",
        )
    predict_columns, to_array = model.predict_columns, columns(row_type)
    return lambda rows: predict_columns(to_array(rows))


def columns(row_type: type[BaseModel]) -> Callable[[Sequence[BaseModel]], np.ndarray]:
    """A function that converts rows to a float64 array [rows, fields], with the fields in the order of the row type."""
    names = tuple(row_type.model_fields)
    width = len(names)
    values = operator.itemgetter(*names) if width > 1 else lambda fields: (fields[names[0]],)

    def to_array(rows: Sequence[BaseModel]) -> np.ndarray:
        # `np.array` would look at each value twice: first for the shape and the type, which are known.
        numbers = chain.from_iterable([values(row.__dict__) for row in rows])
        return np.fromiter(numbers, np.float64, len(rows) * width).reshape(len(rows), width)

    return to_array


def answer(model: Model[Any, Any], rows: Sequence[BaseModel]) -> list[BaseModel]:
    """The model's answers to a batch, one per row. Raises ModelFailed if the model raises or breaks its contract."""
    name = methods.answering(type(model))
    try:
        answers = calls(model, type(rows[0]))(list(rows))
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
