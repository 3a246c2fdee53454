"""Counts rows in the bins of all features of a profile at once."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from fairlead.contracts.profile import IMAGE_LOOKS, TEXT_SHAPES, CategoryFeature, Feature, NumberFeature
from fairlead.profile.bins import CategoryCount, Counts, Floats, as_numbers, count_numbers
from fairlead.profile.pictures import looks
from fairlead.profile.texts import lengths, shapes


class _Field(NamedTuple):
    """One field: what makes its column countable, and the counts of the features that are read from it."""

    prepare: Callable[[Sequence[Any]], Any]
    counts: list[tuple[slice, Callable[[Any], Counts]]]


class RowCount:
    """Counts rows, which are mappings of fields to values. May be used from any thread."""

    def __init__(self, features: Sequence[Feature]) -> None:
        ends = list(accumulate(len(one.bins) for one in features))
        self.size = ends[-1] if ends else 0
        """How many bins all features have together."""
        self._places = [slice(end - len(one.bins), end) for one, end in zip(features, ends, strict=True)]
        self._fields: dict[str, dict[Callable[[Sequence[Any]], Any], _Field]] = {}
        for one, place in zip(features, self._places, strict=True):
            prepare, count = _functions(one)
            field = self._fields.setdefault(one.field, {}).setdefault(prepare, _Field(prepare, []))
            field.counts.append((place, count))
        names = tuple(self._fields)
        # Not attrgetter: to it, a field "a.b" is the attribute b of a.
        self._read = operator.itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)

    def of_each(self, counts: Counts) -> list[Counts]:
        """The counts of each feature."""
        return [counts[place] for place in self._places]

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> Counts:
        """The rows in each bin: those of the first feature in the order of its bins, then those of the next."""
        counts = np.zeros(self.size, dtype=np.int64)
        if not rows or not self.size:
            return counts
        columns = zip(*map(self._read, rows), strict=True)
        for fields, column in zip(self._fields.values(), columns, strict=True):
            for field in fields.values():
                prepared = field.prepare(column)
                for place, count in field.counts:
                    counts[place] += count(prepared)
        return counts


def _functions(feature: Feature) -> tuple[Callable[[Sequence[Any]], Any], Callable[[Any], Counts]]:
    if isinstance(feature, CategoryFeature):
        return Counter, CategoryCount(feature.values, feature.tail)
    count: Callable[[Floats], Counts] = partial(count_numbers, np.array(feature.edges))
    if feature.place is not None:
        return as_numbers, _of_column(feature.place, count)
    for prepare, names in ((shapes, TEXT_SHAPES), (looks, IMAGE_LOOKS)):
        if feature.of in names:
            return prepare, _of_column(names.index(feature.of), count)
    return (lengths if feature.of == "length" else as_numbers), count


def _of_column(place: int, count: Callable[[Floats], Counts]) -> Callable[[Floats], Counts]:
    return lambda matrix: count(matrix[:, place])


def is_read_like(one: Feature, other: Feature) -> bool:
    """Whether both are read from the same values, so that one can be counted in the bins of the other."""
    if isinstance(one, NumberFeature) and isinstance(other, NumberFeature):
        read = operator.attrgetter("name", "field", "place", "of", "pixels")
        return bool(read(one) == read(other))
    return (one.name, one.field, one.kind) == (other.name, other.field, other.kind)
