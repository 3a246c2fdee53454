"""Refuses a class that gives its estimator the columns in another order than the one it was fitted on.

`predict_columns` gets an array, and an array has no names: if the fields of the row type are in another order than the
estimator's columns, every answer is wrong and none fails. So a class whose estimator knows its columns is called once,
after loading, and what its estimator gets is compared with the rows. A class that scales its columns first, or derives
others, shows nothing; it is neither refused nor proven.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel

from fairlead import errors
from fairlead.model import Model
from fairlead.serving.formats import rows
from fairlead.serving.formats.declared import METHODS
from fairlead.serving.formats.estimator_input import column_names


@dataclass(frozen=True, slots=True)
class _Named:
    """An attribute of the model that holds an estimator, with the names of the estimator's columns."""

    attribute: str
    estimator: Any
    names: tuple[str, ...]


def check(
    model: Model[Any, Any], some_rows: Callable[[], Sequence[tuple[str, BaseModel]]], asking: Callable[[str], None]
) -> None:
    """Call the model once with some rows, if an attribute of it is an estimator that knows its columns.

    A row that nobody sent has a name, which `asking` gets before the row is asked; after it, it gets "". Raises Invalid
    if the estimator gets the values of the rows in another order than that of its columns.
    """
    fields = model.row_type.model_fields
    estimators = [one for one in _estimators(model) if fields.keys() >= set(one.names)]
    batch = some_rows() if estimators else ()
    for name, row in batch:
        asking(name)
        with ExitStack() as stack:
            stack.callback(asking, "")
            seen = [(one, stack.enter_context(_arguments(one.estimator))) for one in estimators]
            try:
                rows.answer(model, [row])
            except errors.FairleadError:  # a made-up row may mean nothing to the model; the golden rows are asked later
                continue
        for one, arguments in seen:
            for argument in arguments:
                _compare(model, one, row, argument)


def _estimators(model: Model[Any, Any]) -> Iterator[_Named]:
    for attribute, value in vars(model).items():
        if hasattr(value, "predict") and (names := column_names(value)):
            yield _Named(attribute, value, names)


@contextmanager
def _arguments(estimator: Any) -> Iterator[list[Any]]:
    """Collect the first argument of every call of the estimator's methods in this block."""
    seen: list[Any] = []
    replaced = [name for name in METHODS if callable(getattr(estimator, name, None)) and hasattr(estimator, "__dict__")]

    def recording(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(argument: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append(argument)
            return method(argument, *args, **kwargs)

        return call

    for name in replaced:
        vars(estimator)[name] = recording(getattr(estimator, name))
    try:
        yield seen
    finally:
        for name in replaced:
            del vars(estimator)[name]


def _compare(model: Model[Any, Any], one: _Named, row: BaseModel, argument: Any) -> None:
    try:
        wanted = [float(getattr(row, name)) for name in one.names]
        got = np.asarray(argument, dtype=np.float64)
    except (TypeError, ValueError):  # texts, nulls, a sparse matrix
        return
    if got.shape != (1, len(wanted)) or len(set(wanted)) < len(wanted):
        return
    given = got[0].tolist()
    if given != wanted and sorted(given) == sorted(wanted):
        order = [one.names[wanted.index(value)] for value in given]
        kind = type(model).__name__
        raise errors.Invalid(
            f"{kind} gives the estimator in its attribute {one.attribute!r} the columns {', '.join(order)}, "
            f"but it was fitted on {', '.join(one.names)}: every answer would be wrong",
            hint=f"Write the fields of {model.row_type.__name__} in the order of the estimator's columns, "
            "or implement `predict_frame` and give the estimator the DataFrame with its columns by name.",
        )
