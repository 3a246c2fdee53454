"""Features with all kinds of distributions: their rows, and the counts of them in the bins of a reference."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fairlead.contracts.profile import CategoryFeature, NumberFeature
from fairlead.profile import bins

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Floats]
"""Draws rows. The values of a category are drawn as numbers from 0."""


@dataclass(frozen=True)
class Kind:
    """A feature. `choices` is the number of a category's values; 0 for a number."""

    name: str
    draw: Draw
    choices: int = 0
    answer: bool = False


def _normal(random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return random.standard_normal(shape)


def _lognormal(random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return np.exp(random.standard_normal(shape))


def _heavy(random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return random.standard_t(3, shape)


def _often_zero(random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return np.where(random.random(shape) < 0.6, 0.0, random.exponential(1.0, shape))


def _integers(random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return np.asarray(random.poisson(3.0, shape), dtype=np.float64)


def _often_missing(random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return np.where(random.random(shape) < 0.03, np.nan, random.standard_normal(shape))


def _probability(random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return random.beta(2.0, 5.0, shape)


def _category(choices: int) -> Kind:
    ends = np.cumsum(1 / np.arange(1, choices + 1))

    def draw(random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        return np.asarray(np.searchsorted(ends, random.random(shape) * ends[-1], side="right"), dtype=np.float64)

    return Kind(f"category of {choices}", draw, choices)


KINDS = (
    *(Kind(f"normal {number}", _normal) for number in range(6)),
    *(Kind(f"log-normal {number}", _lognormal) for number in range(2)),
    *(Kind(f"heavy tails {number}", _heavy) for number in range(2)),
    *(Kind(f"often zero {number}", _often_zero) for number in range(2)),
    Kind("integers", _integers),
    *(Kind(f"often missing {number}", _often_missing) for number in range(2)),
    *map(_category, (2, 4, 8, 15, 40)),
)
"""Twenty inputs."""
PREDICTION = Kind("prediction", _probability, answer=True)


class Counted:
    """A feature with its reference: sorted rows, bins of the room `profile`, and counts of other rows in them."""

    def __init__(self, kind: Kind, random: np.random.Generator, rows: int) -> None:
        self.kind = kind
        self.reference = kind.draw(random, (rows,))
        feature: NumberFeature | CategoryFeature
        if kind.choices:
            feature = bins.category_feature(kind.name, kind.name, [f"{one:g}" for one in self.reference])
            place = bins.CategoryCount(feature.values, feature.tail)
            self._places = np.array([int(place({f"{one}": 1}).argmax()) for one in range(kind.choices)])
        else:
            edges = bins.UNIT_EDGES if kind.answer else bins.number_edges(self.reference)
            feature = bins.number_feature(kind.name, kind.name, edges, self.reference)
            self._edges = np.array(edges)
        self.feature = feature
        self.names = np.array(feature.bins)
        self.counts = np.array(feature.counts)

    def with_rows(self, rows: Floats) -> Counted:
        """The same bins with other rows as the reference: those of a slice."""
        return self.with_counts(self.of(rows[None])[0])

    def with_counts(self, counts: Ints) -> Counted:
        """The same bins with other counts of the reference."""
        other = copy(self)
        other.counts = counts
        return other

    def of(self, rows: Floats) -> Ints:
        """The counts of each line of rows: shape (lines, rows) gives (lines, bins)."""
        size = len(self.counts)
        if self.kind.choices:
            places = self._places[rows.astype(np.int64)]
        else:
            places = np.searchsorted(self._edges, rows.ravel(), side="right").reshape(rows.shape)
            places[np.isnan(rows)] = size - 1
        lines = np.arange(len(rows))[:, None] * size
        return np.bincount((places + lines).ravel(), minlength=len(rows) * size).reshape(len(rows), size)
