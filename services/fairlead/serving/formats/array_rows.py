"""Rows of a network: a field is a nested list of numbers, or an array of the field's own datatype and shape.

A tensor that arrives in binary form stays an array from the request to the network. As lists, an image of 3 x 224 x 224
would be 150,000 floats of Python on the way.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

from fairlead.contracts.manifest import Tensor

_NO_NUMBERS = ("BYTES", "BOOL")


class ArrayRow(BaseModel):
    """The base of row types whose model takes arrays too. Whoever makes a row with one checks datatype and shape."""


def base_of(inputs: Sequence[Tensor]) -> type[BaseModel]:
    """The base of a row type with these inputs: `ArrayRow`, if there is nothing to check of a value but its type."""
    lists = [one for one in inputs if len(one.shape) > 1]
    return ArrayRow if lists and all(map(_is_only_numbers, inputs)) else BaseModel


def _is_only_numbers(tensor: Tensor) -> bool:
    """Whether any array of the datatype and shape is a value. What a manifest can say beyond that is all here."""
    if tensor.image or tensor.choices or tensor.nullable or tensor.minimum is not None or tensor.maximum is not None:
        return False
    return tensor.datatype not in _NO_NUMBERS and -1 not in tensor.shape[1:]
