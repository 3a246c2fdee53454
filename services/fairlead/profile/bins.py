"""The bins of a feature, made from reference data once, and the counting of rows in them."""

from __future__ import annotations

import enum
import math
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fairlead.contracts import profile
from fairlead.contracts.profile import MAX_VALUE, TAIL, TOP, CategoryFeature, Feature, NumberFeature
from fairlead.profile.statistics import chi_squared_quantile

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_DECILES = np.arange(1, 10) / 10
_RANGE = np.array([0.001, 0.999])
UNIT_EDGES = (*(number / 20 for number in range(20)), math.nextafter(1.0, math.inf))
"""The edges of 20 equal bins from 0 to 1, for probabilities."""
_LARGEST = 1e300
"""Edges stay within this, so that each has a next float."""
EXCEEDED = 0.001
"""The share of samples without drift above the critical value."""


def number_edges(values: Floats) -> tuple[float, ...]:
    """The edges of at most ten bins with about as many values each, by the finite ones of `values`; at least two.

    A value with more than a tenth of all has a bin of its own. The first edge is the 0.1 % quantile, the last is just
    above the 99.9 % quantile. Every bin has a value in it. Raises ValueError if no value is finite.
    """
    known = np.sort(np.clip(values[np.isfinite(values)], -_LARGEST, _LARGEST))
    if not len(known):
        raise ValueError("no value is a finite number")
    low, high = np.quantile(known, _RANGE, method="inverted_cdf")
    inner = np.quantile(known, _DECILES, method="inverted_cdf")
    often, times = np.unique(inner, return_counts=True)
    top = np.nextafter(high, np.inf)
    edges = np.unique([low, *often, *np.nextafter(often[times > 1], np.inf)])
    edges = edges[(edges >= low) & (edges < top)]
    places = np.searchsorted(known, [*edges, top], side="left")
    kept = edges[np.diff(places) > 0]
    return (*kept.tolist(), float(top))


def count_numbers(edges: Sequence[float] | Floats, values: Floats) -> Counts:
    """How many values each bin of a number has, in the order of `NumberFeature.bins`. NaN and infinity are missing."""
    known = values[np.isfinite(values)]
    places = np.searchsorted(edges, known, side="right")
    counts = np.bincount(places, minlength=len(edges) + 2).astype(np.int64, copy=False)
    counts[-1] = len(values) - len(known)
    return counts


class CategoryCount:
    """Counts the rows of one category; `places` maps each known value to its bin."""

    def __init__(self, values: Sequence[str], tail: Iterable[str]) -> None:
        self._places = {value: place for place, value in enumerate(values)} | dict.fromkeys(tail, len(values))
        self._new = len(values) + 1

    def __call__(self, seen: Mapping[Any, int]) -> Counts:
        """How many values each bin has, in the order of `CategoryFeature.bins`. `seen` says how often each occurs."""
        counts = np.zeros(self._new + 2, dtype=np.int64)
        for value, times in seen.items():
            text = text_of(value)
            counts[self._new + 1 if text is None else self._places.get(text, self._new)] += times
        return counts


def text_of(value: Any) -> str | None:
    """A value of a category as the profile has it; None if it is missing."""
    if type(value) is str:
        text = value
    elif value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    elif isinstance(value, enum.Enum):
        return text_of(value.value)
    else:
        text = str(value).lower() if isinstance(value, bool | np.bool_) else str(value)
    text = text[:MAX_VALUE]
    # A lone surrogate cannot be written as UTF-8.
    return text if text.isascii() else text.encode(errors="replace").decode()


def as_numbers(values: Sequence[Any]) -> Floats:
    """Numbers and None as floats. An integer beyond all floats is the largest float, so it is outside the range."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (OverflowError, TypeError, ValueError):
        return np.array([_number(value) for value in values], dtype=np.float64)


def _number(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return sys.float_info.max if value > 0 else -sys.float_info.max
    except (TypeError, ValueError):
        return math.nan


def number_feature(
    name: str,
    field: str,
    edges: Sequence[float],
    values: Floats,
    *,
    place: int | None = None,
    of: str = "value",
    pixels: str = "",
) -> NumberFeature:
    """A feature with these edges, and the reference's values in its bins."""
    counts = count_numbers(edges, values).tolist()
    critical = _critical(len(counts))
    return NumberFeature(
        name=name,
        field=field,
        place=place,
        of=of,
        pixels=pixels,
        edges=tuple(edges),
        counts=counts,
        critical=critical,
    )


def category_feature(name: str, field: str, values: Iterable[Any], choices: Collection[Any] = ()) -> CategoryFeature:
    """A feature with bins for the most frequent values. `choices` are all that its type allows, if it says so.

    Only choices name their bins: any other text is data, and may be a secret.
    """
    seen = Counter(values)
    texts: Counter[str] = Counter({text: 0 for choice in choices if (text := text_of(choice)) is not None})
    for value, times in seen.items():
        if (text := text_of(value)) is not None:
            texts[text] += times
    ranked = sorted(texts, key=lambda text: (-texts[text], text))
    own, tail = ranked[:TOP], sorted(ranked[TOP : TOP + TAIL])
    named = bool(choices) and all(map(profile.is_plain, own))
    return _category(name, field, own, tail, named, seen)


def _category(
    name: str, field: str, own: Sequence[str], tail: Sequence[str], named: bool, seen: Mapping[Any, int]
) -> CategoryFeature:
    counts = CategoryCount(own, tail)(seen).tolist()
    return CategoryFeature(
        name=name,
        field=field,
        values=tuple(own),
        tail=tuple(tail),
        named=named,
        counts=counts,
        critical=_critical(len(counts)),
    )


def recounted(feature: Feature, counts: Sequence[int]) -> Feature:
    """The bins of another profile's feature, with other counts."""
    return feature.model_copy(update={"counts": tuple(counts)})


def _critical(bins: int) -> float:
    return round(chi_squared_quantile(EXCEEDED, bins - 1), 6)
