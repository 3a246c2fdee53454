"""Counts rows and their answers in the bins of all features, and the rows of each slice by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress
from typing import Any

import numpy as np
import numpy.typing as npt

from fairlead.contracts.profile import IMAGE_LOOKS, Feature
from fairlead.contracts.slices import Condition
from fairlead.profile.bins import Counts, as_numbers, text_of
from fairlead.profile.counting import RowCount
from fairlead.profile.pictures import with_looks

Members = npt.NDArray[np.bool_]
Rows = Sequence[Mapping[str, Any]]


class SlicedCount:
    """The counts of a profile: those of all rows, then those of each slice. May be used from any thread."""

    def __init__(self, features: Sequence[Feature], answers: Sequence[Feature], slices: Sequence[Condition]) -> None:
        self._rows, self._answers, self._slices = RowCount(features), RowCount(answers), slices
        self.bins = self._rows.size + self._answers.size
        """How many bins all features and answers have together."""
        self.size = self.bins * (1 + len(slices))
        """How many numbers a count has."""
        self.of_answers = slice(self._rows.size, self.bins)
        """Where in them those of the answers are."""
        self.has_answers = self._answers.size > 0
        """Whether answers are counted; else none need to be given."""
        self.images = tuple({one.field: None for one in features if one.kind == "number" and one.of in IMAGE_LOOKS})
        """The fields that are images."""

    def __call__(self, rows: Rows, answers: Rows, members: Members) -> Counts:
        """The rows in each bin, of all and of each slice. `members` is what `members` says of these rows."""
        if self._slices and self.images:  # they are looked at once, and not for each slice again
            rows = with_looks(rows, self.images)
        counted = [*self._of(rows, answers)]
        for mine in members:
            counted += self._of(list(compress(rows, mine)), list(compress(answers, mine)))
        return np.concatenate(counted)

    def of_each(self, counts: Counts) -> list[Counts]:
        """The counts of each feature and answer, from those of all rows or of one slice."""
        of_rows, of_answers = np.split(counts, [self._rows.size])
        return [*self._rows.of_each(of_rows), *self._answers.of_each(of_answers)]

    def members(self, rows: Rows) -> Members:
        """Which rows are in each slice: an array of slices and rows."""
        found = np.zeros((len(self._slices), len(rows)), dtype=np.bool_)
        columns: dict[tuple[str, bool], Any] = {}
        for place, one in enumerate(self._slices):
            key = (one.field, one.is_range)
            if key not in columns:
                values = [row[one.field] for row in rows]
                columns[key] = as_numbers(values) if one.is_range else list(map(text_of, values))
            column = columns[key]
            if one.is_range:
                start = -np.inf if one.start is None else one.start
                found[place] = (column >= start) & (column < (np.inf if one.end is None else one.end))
            else:
                wanted = frozenset(one.values)
                found[place] = [value in wanted for value in column]
        return found

    def _of(self, rows: Rows, answers: Rows) -> tuple[Counts, Counts]:
        return self._rows(rows), self._answers(answers)
