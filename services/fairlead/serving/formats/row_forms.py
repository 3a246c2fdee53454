"""What a row is of a network: which part of the tensors that one call takes.

The first dimension of every input is open if the network was exported for batches. Others are exported for one call,
and each row is a call of its own. If the first dimension of every tensor is 1, that is a batch of one, and the row is
what is in it. If not, the row is all of what a call takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

import numpy as np

Shape = tuple[int | None, ...]
"""None for an open dimension."""


class RowForm(Enum):
    """What a row is of the tensors of a call."""

    OF_A_BATCH = "one of the first dimension, which is open"
    A_BATCH_OF_ONE = "the only one of the first dimension"
    A_WHOLE_CALL = "each tensor whole"

    @property
    def is_a_call(self) -> bool:
        """Whether each row needs a call of its own."""
        return self is not RowForm.OF_A_BATCH

    def in_batches(self, shape: Shape) -> Shape:
        """The shape that a tensor of the network has for clients, who send any number of rows."""
        match self:
            case RowForm.OF_A_BATCH:
                return shape
            case RowForm.A_BATCH_OF_ONE:
                return (None, *shape[1:])
            case RowForm.A_WHOLE_CALL:
                return (None, *shape)

    def run(
        self,
        call: Callable[[Mapping[str, np.ndarray], Sequence[str]], Sequence[Any]],
        arrays: Mapping[str, np.ndarray],
        wanted: Sequence[str],
    ) -> Sequence[Any]:
        """What `call` returns for arrays whose first dimension is the rows, with that dimension."""
        if self is not RowForm.A_WHOLE_CALL:
            return call(arrays, wanted)
        row = {name: array[0, ...] for name, array in arrays.items()}
        return [np.asarray(one)[np.newaxis] for one in call(row, wanted)]


def row_form(inputs: Sequence[Shape | None], outputs: Sequence[Shape | None]) -> RowForm:
    """What a row is of a network with tensors of these shapes; None for one that the network does not state.

    A network with an open first dimension beside a fixed one takes batches, of which the fixed one is no part.
    """
    stated = [shape for shape in inputs if shape is not None]
    if len(stated) < len(inputs) or not stated or any(shape[:1] == (None,) for shape in stated):
        return RowForm.OF_A_BATCH
    known = [*stated, *(shape for shape in outputs if shape is not None)]
    return RowForm.A_BATCH_OF_ONE if all(shape[:1] == (1,) for shape in known) else RowForm.A_WHOLE_CALL
