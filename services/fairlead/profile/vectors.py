"""Drift of vectors, such as embeddings: random Fourier features, whose sums add up over instances.

Each of DIRECTIONS random directions turns a vector into a wave, a number from 0 to 1. The mean waves of two samples are
as far apart as the samples are: their squared distance is an estimate of MMD, the maximum mean discrepancy with a
Gaussian kernel (Rahimi and Recht 2007). It sees any change of the distribution, also one that no single place shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fairlead.contracts.vectors import DIRECTIONS, VectorFeature
from fairlead.profile.bins import EXCEEDED, Floats, as_numbers
from fairlead.profile.statistics import chi_squared_quantile

_SEED = 20261130
_SAMPLE = 1000
"""So many vectors say how far apart two of them are."""
_EQUAL = 1e-12
"""Waves whose variances add up to less are of equal vectors."""
_ROUNDED = 9
"""Decimals of the means. More are noise of the processor, and would give other bytes on another one."""


class Waves:
    """Turns vectors of one feature into waves. The same seed gives the same directions with every release of numpy."""

    def __init__(self, size: int, scale: float, seed: int) -> None:
        random = np.random.RandomState(seed)  # its numbers are frozen; those of default_rng may change
        self._directions = random.standard_normal((size, DIRECTIONS)) / scale
        self._starts = random.uniform(0, 2 * math.pi, DIRECTIONS)

    def __call__(self, vectors: Floats) -> Floats:
        """The waves of vectors, shape (rows, DIRECTIONS) from (rows, size), without those that are not finite."""
        with np.errstate(over="ignore", invalid="ignore"):
            turned = vectors @ self._directions + self._starts
        turned = turned[np.isfinite(turned).all(axis=1)]
        waves: Floats = (1 + np.cos(turned)) / 2
        return waves


class VectorSums:
    """Adds up the waves of all vectors of rows. May be used from any thread."""

    def __init__(self, features: Sequence[VectorFeature]) -> None:
        self._features = [(one.field, Waves(one.size, one.scale, one.seed)) for one in features]
        self.size = (DIRECTIONS + 1) * len(features)
        """How many numbers the sums are: those of each direction and the vectors, of each feature."""

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> Floats:
        """The sums of these rows."""
        sums = np.zeros(self.size)
        for place, (field, waves) in enumerate(self._features):
            if rows:
                found = waves(as_numbers([row[field] for row in rows]))
                start = place * (DIRECTIONS + 1)
                sums[start : start + DIRECTIONS] = found.sum(axis=0)
                sums[start + DIRECTIONS] = len(found)
        return sums


def vector_feature(name: str, field: str, vectors: Floats, like: VectorFeature | None = None) -> VectorFeature | None:
    """The reference of one field's vectors, with the directions of `like` if it has some; None without a finite one."""
    known = vectors[np.isfinite(vectors).all(axis=1)]
    if not len(known):
        return None
    size, scale, seed = vectors.shape[1], like.scale if like else _apart(known), like.seed if like else _SEED
    waves = Waves(size, scale, seed)(known)
    if not len(waves):
        return None
    return VectorFeature(
        name=name,
        field=field,
        size=size,
        scale=scale,
        seed=seed,
        rows=len(waves),
        means=tuple(waves.mean(axis=0).round(_ROUNDED).tolist()),
        critical=_critical(waves),
    )


def mmd(live: Floats, reference: Floats) -> float:
    """The squared MMD of two samples by the means of their waves: from 0 to 8, and rarely above 1."""
    return float(8 * np.mean((np.asarray(live) - np.asarray(reference)) ** 2))


def _apart(vectors: Floats) -> float:
    """The median distance of two vectors, to three digits: the width of the kernel. 1 if they do not differ."""
    sample = vectors[np.random.RandomState(_SEED).permutation(len(vectors))[:_SAMPLE]]
    halves = len(sample) // 2
    with np.errstate(over="ignore", invalid="ignore"):
        distances = np.linalg.norm(sample[:halves] - sample[halves : 2 * halves], axis=1)
    distances = distances[np.isfinite(distances) & (distances > 0)]
    return float(f"{np.median(distances):.3g}") if len(distances) else 1.0


def _critical(waves: Floats) -> float:
    """What `mmd / (1 / n + 1 / m)` of two samples without drift exceeds with the probability EXCEEDED.

    It is a sum of chi-squared variables, weighted with the eigenvalues of the waves' covariance; a chi-squared with the
    same first three cumulants is close in its upper tail (Imhof 1961).
    """
    if len(waves) < 2:
        return 1.0
    covariance = np.atleast_2d(np.cov(waves, rowvar=False)) * 8 / DIRECTIONS
    square = covariance @ covariance
    first, second = float(np.trace(covariance)), float(np.trace(square))
    third = float((square * covariance).sum())
    if first < _EQUAL:
        return 1.0
    degrees = max(1, round(second**3 / third**2))
    beyond = chi_squared_quantile(EXCEEDED, degrees) - degrees
    return float(f"{first + beyond * math.sqrt(second / degrees):.6g}")
