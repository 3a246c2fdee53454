"""Pads the lists of rows to one length, so that rows of different lengths share a call, and cuts their answers.

A network takes arrays, and an array has one shape. Where the manifest says so, a shorter list gets the input's padding
value at its end, up to the longest of the batch, or to the next of the lengths in `to`: then a network sees few shapes.
Whether the network ignores the padding is its own affair: the check of batching compares the answers.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fairlead import errors
from fairlead.contracts.manifest import Tensor


def separate(inputs: Sequence[Tensor]) -> list[str]:
    """The inputs whose lengths must be the same in all rows of a call: open, and not padded."""
    return [one.name for one in inputs if -1 in one.shape[1:] and one.padding is None]


def sizes(value: Any) -> tuple[int, ...]:
    """The lengths of nested lists, as far as the first elements tell."""
    found = []
    while isinstance(value, list):
        found.append(len(value))
        value = value[0] if value else None
    return tuple(found)


def open_sizes(stated: Tensor, value: Any) -> tuple[int, ...]:
    """The lengths of a row's value on the open dimensions of its tensor."""
    own = sizes(value)
    return tuple(own[axis] for axis in _open_axes(stated))


def padded_sizes(stated: Tensor, rows: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The lengths of the array of these rows, each given by its open sizes."""
    longest = tuple(map(max, zip(*rows, strict=True)))
    to = stated.padding.to if stated.padding else ()
    # The row type has refused what is longer than the last of them.
    return tuple(to[bisect.bisect_left(to, size)] for size in longest) if to else longest


def array(stated: Tensor, values: Sequence[Any], dtype: np.dtype[Any]) -> np.ndarray:
    """The values of rows as one array, with the input's padding value behind the shorter ones."""
    assert stated.padding is not None
    parts = [np.array(value, dtype=dtype) for value in values]
    longest = iter(padded_sizes(stated, [open_sizes(stated, value) for value in values]))
    shape = [next(longest) if size == -1 else size for size in stated.shape[1:]]
    padded = np.full((len(parts), *shape), stated.padding.value, dtype=dtype)
    for place, part in enumerate(parts):
        if part.size:
            padded[place][tuple(map(slice, part.shape))] = part
    return padded


def cut(output: Tensor, values: list[Any], source: Tensor, inputs: Sequence[Any]) -> list[Any]:
    """The values of an output, each cut to the lengths of its row's input.

    Raises ModelFailed if the output does not have the lengths to which the input was padded.
    """
    rows = [open_sizes(source, value) for value in inputs]
    wanted = padded_sizes(source, rows)
    axes = _open_axes(output)
    cuts = []
    for value, lengths in zip(values, rows, strict=True):
        own = (*sizes(value), *(0 for _ in output.shape))  # an empty list does not say what is in it
        found = tuple(own[axis] for axis in axes)
        if 0 not in wanted and found != wanted:
            raise errors.ModelFailed(
                f"output {output.name} has the lengths {list(found)}, and its input {source.name} was padded to "
                f"{list(wanted)}; `cut_to` is for an output with the lengths of that input"
            )
        kept = dict(zip(axes, lengths, strict=True))
        cuts.append(_cut(value, [kept.get(axis) for axis in range(max(axes) + 1)]))
    return cuts


def check_shared(inputs: Sequence[Tensor], names: Mapping[str, Sequence[str]]) -> None:
    """Raise Invalid if two inputs share an open dimension and are not padded alike. `names` are those of dimensions."""
    first: dict[str, Tensor] = {}
    for one in inputs:
        for axis, name in enumerate(names.get(one.name, ())[: len(one.shape)]):
            if axis and name and one.shape[axis] == -1:
                other = first.setdefault(name, one)
                if (one.padding and one.padding.to) != (other.padding and other.padding.to):
                    raise errors.Invalid(
                        f"fairlead.yaml: inputs: {other.name} and {one.name} share the dimension {name!r}, and are not "
                        "padded to the same lengths",
                        hint="Give both a `padding` with the same `to`; their values may differ.",
                    )


def _open_axes(stated: Tensor) -> list[int]:
    """The open dimensions in one row's value, which has no dimension of the rows."""
    return [axis for axis, size in enumerate(stated.shape[1:]) if size == -1]


def _cut(value: Any, lengths: Sequence[int | None]) -> Any:
    own, *inner = lengths
    kept = value if own is None else value[:own]
    return [_cut(part, inner) for part in kept] if inner else kept
