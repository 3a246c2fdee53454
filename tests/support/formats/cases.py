"""A model of a format, with rows and what its library itself answers to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fairlead.serving.formats.networks import field_name


class Case(NamedTuple):
    """`manifest` are the fields that the format needs, `value` and `code` what `write_folder` gets.

    `rows` are JSON, `arrays` the same rows for the library, and `own` asks the library.
    """

    manifest: Mapping[str, Any]
    value: Any
    rows: list[dict[str, Any]]
    arrays: dict[str, np.ndarray]
    own: Callable[[dict[str, np.ndarray]], list[dict[str, Any]]]
    code: Sequence[Path] = ()

    def alone(self) -> list[dict[str, Any]]:
        """The library's answers to each row alone."""
        places = range(len(self.rows))
        return [
            self.own({name: array[place : place + 1] for name, array in self.arrays.items()})[0] for place in places
        ]


def as_rows(arrays: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Arrays as one JSON object per row, with the names of fields."""
    columns = {field_name(name): np.asarray(array).tolist() for name, array in arrays.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
