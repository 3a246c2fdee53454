"""Inputs of a network that share an open dimension, such as the length of a text and that of its mask.

The network names its open dimensions, and those of one name have one size. A runtime may not notice that they differ:
it computes with a size of 1 as if it were any other. So the row type compares them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from pydantic import AfterValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from fairlead.contracts.manifest import Tensor

Names = Mapping[str, Sequence[str]]
"""For each input the names of its dimensions; an empty name, if one has none or has a size."""


class _Same(NamedTuple):
    """A dimension of an input that another one, or the same, has before."""

    name: str
    axis: int
    other: str
    other_axis: int


def checks(inputs: Sequence[Tensor], names: Names) -> dict[str, AfterValidator]:
    """The validator of each input that shares a dimension with one before it. The first dimension is the rows."""
    first: dict[str, tuple[str, int]] = {}
    found: dict[str, list[_Same]] = {}
    for one in inputs:
        if one.image is not None:  # its size is that of the manifest
            continue
        for axis, name in enumerate(names.get(one.name, ())[: len(one.shape)]):
            if axis and name in first:
                found.setdefault(one.name, []).append(_Same(name, axis, *first[name]))
            elif axis and name:
                first[name] = one.name, axis
    return {name: AfterValidator(partial(_check, same)) for name, same in found.items()}


def _check(same: Sequence[_Same], value: Any, info: ValidationInfo) -> Any:
    """The value. Raises PydanticCustomError if a dimension has another size than before."""
    for name, axis, other, other_axis in same:
        size = _size(value, axis)
        expected = _size(value if other == info.field_name else info.data.get(other), other_axis)
        if size is not None and expected is not None and size != expected:
            raise PydanticCustomError(
                "shared_dimension",
                "The dimension '{name}' is {size} in '{here}' and {expected} in '{other}'; it must be the same",
                {"name": name, "size": size, "here": info.field_name, "expected": expected, "other": other},
            )
    return value


def _size(value: Any, axis: int) -> int | None:
    """The size of nested lists on an axis. None if a list around it is empty, or the value is wrong already."""
    for _ in range(axis - 1):
        value = value[0] if value else None
    return len(value) if isinstance(value, list) else None
