"""Calls the model for the requests of a service and checks its answers.

`formats.rows` has the one-off calls: those for golden rows when a folder is written.
"""

from __future__ import annotations

from typing import Any

from fairlead.model import Model
from fairlead.serving.formats import rows
from fairlead.serving.inference import batching, contract


def compute(model: Model[Any, Any], terms: contract.Contract) -> batching.Compute:
    """The function that answers a batch with this model.

    Raises ModelFailed or Unavailable if the model's class does not fit its row type or this environment.
    """
    predict, check = rows.calls(model, terms.row_type), terms.check

    def call(batch: list[Any]) -> list[Any]:
        return check(predict(batch), len(batch))

    return call
