"""Rows of networks whose tensors all come in binary form: each value is a view of the request's body.

Only requests that are right in everything are read so. `None` for any other: the usual way, through lists, says what is
wrong with it, or reads what is right in another way, such as FP64 for FP32.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel

from fairlead.serving.formats.array_rows import ArrayRow
from fairlead.serving.inference import binary_tensors, contract, tensors
from fairlead.serving.open_inference.messages import InputTensor

COPIES, COPIES_OF_BF16 = 2, 6
"""How often the bytes of such an input are in memory: in the body, and in the array of the batch. Those of BF16 also as
float32, of twice the size, in the rows and in the batch."""


def memory(inputs: Sequence[InputTensor], raw: Mapping[int, memoryview]) -> int:
    """The bytes that the rows of such a request need."""
    return sum(
        len(part) * (COPIES_OF_BF16 if inputs[index].datatype == "BF16" else COPIES) for index, part in raw.items()
    )


class ArrayInputs:
    """Reads such requests for one model."""

    def __init__(self, terms: contract.Contract) -> None:
        self._row_type = terms.row_type
        self._max_rows = terms.max_rows
        self._fields = {field.name: field for field in terms.fields} if issubclass(self._row_type, ArrayRow) else {}

    def rows(self, inputs: Sequence[InputTensor], raw: Mapping[int, memoryview]) -> list[BaseModel] | None:
        """The rows of inputs whose bytes are in `raw`, by the index of the input."""
        names = [one.name for one in inputs]
        if set(names) != self._fields.keys() or not len(names) == len(self._fields) == len(raw):
            return None
        count, columns = inputs[0].shape[0], {}
        for index, given in enumerate(inputs):
            field, part = self._fields[given.name], raw[index]
            size = count * math.prod(field.shape) * binary_tensors.item_size(field.datatype)
            if not _is_right(given, field, count) or len(part) != size:
                return None
            columns[given.name] = binary_tensors.array(field.datatype, part, given.shape)
        is_finite = all(column.dtype.kind != "f" or bool(np.isfinite(column).all()) for column in columns.values())
        if not 1 <= count <= self._max_rows or not is_finite:
            return None
        make = self._row_type.model_construct
        return [make(**dict(zip(names, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def _is_right(given: InputTensor, field: tensors.Tensor, count: int) -> bool:
    """Whether a tensor is one of the field's own datatype and shape, with nothing more to say."""
    return (
        given.datatype == field.datatype
        and list(given.shape) == [count, *field.shape]
        and given.data is None
        and not given.parameters
    )
