"""Calls the model for the requests of a service and checks its answers.

`formats.rows` has the one-off calls: those for golden rows when a folder is written.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel

from fairlead import errors
from fairlead.model import Model
from fairlead.serving.formats import memory_errors, rows
from fairlead.serving.inference import batching, contract


def compute(model: Model[Any, Any], terms: contract.Contract) -> batching.Compute:
    """The function that answers a batch with this model.

    Raises ModelFailed or Unavailable if the model's class does not fit its row type or this environment. The function
    raises OutOfMemory if the model, or a library that it calls, finds no memory.
    """
    predict, check = rows.calls(model, terms.row_type), terms.check

    def call(batch: list[Any]) -> list[Any]:
        try:
            return check(predict(batch), len(batch))
        except Exception as problem:
            if (found := _no_memory(problem, len(batch))) is None:
                raise
        raise found  # not in the block above, whose frames keep the arrays of the call in memory

    return call


def explain(model: Model[Any, Any]) -> batching.Compute:
    """The function that explains the answers to requests, each given as the list of its rows: as a list in JSON.

    It raises ModelFailed if there is not one explanation per row, or one of them has no JSON.
    """

    def call(requests: list[Any]) -> list[Any]:
        try:
            return [_explained(model.explain(rows), len(rows)) for rows in requests]
        except Exception as problem:
            if (found := _no_memory(problem, sum(map(len, requests)))) is None:
                raise
        raise found

    return call


def _no_memory(problem: Exception, rows: int) -> errors.OutOfMemory | None:
    return None if isinstance(problem, errors.FairleadError) else memory_errors.of(problem, rows)


def _explained(found: object, rows: int) -> bytes:
    if not isinstance(found, Sequence | np.ndarray) or isinstance(found, str | bytes) or len(found) != rows:
        got = f"{len(found)} values" if isinstance(found, list | tuple | np.ndarray) else f"a {type(found).__name__}"
        raise errors.ModelFailed(f"explain returned {got} for {rows} rows; return a list with one value per row")
    try:
        return json.dumps(list(found), allow_nan=False, default=_plain, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as problem:
        raise errors.ModelFailed(f"explain returned what JSON does not have: {problem}") from None


def _plain(value: object) -> object:
    """A value of numpy or pydantic as one that JSON has. Raises TypeError for any other."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    raise TypeError(f"a {type(value).__name__}")
