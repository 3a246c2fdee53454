"""Calls the model for the requests of a service, with rows as objects or as one array, and checks its answers.

`formats.rows` has the one-off calls: those for golden rows when a folder is written.
"""

from __future__ import annotations

from typing import Any

from fairlead import errors
from fairlead.model import Model
from fairlead.serving.formats import rows
from fairlead.serving.inference import batching, contract

NUMBERS = (float, int, bool)


def compute(model: Model[Any, Any], terms: contract.Contract) -> batching.Compute:
    """The function that answers a batch with this model.

    Raises ModelFailed if the model defines predict_columns and a field of its row type is not a number.
    """
    if rows.takes_columns(model):
        return _by_columns(model, terms)
    return _by_rows(model, terms)


def _by_rows(model: Model[Any, Any], terms: contract.Contract) -> batching.Compute:
    def call(batch: list[Any]) -> list[Any]:
        return terms.check(model.predict(batch), len(batch))

    return call


def _by_columns(model: Model[Any, Any], terms: contract.Contract) -> batching.Compute:
    fields = terms.row_type.model_fields
    if others := [name for name, field in fields.items() if field.annotation not in NUMBERS]:
        raise errors.ModelFailed(
            f"{type(model).__name__} defines predict_columns, which needs a number in every field; "
            f"{', '.join(others)} of {terms.row_type.__name__} are not numbers"
        )
    columns = rows.columns(terms.row_type)

    def call(batch: list[Any]) -> list[Any]:
        return terms.check(model.predict_columns(columns(batch)), len(batch))

    return call
