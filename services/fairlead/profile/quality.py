"""How often predictions are right: calibration on held-out rows, and what is to be expected of rows without a truth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fairlead.contracts.quality import Curve
from fairlead.profile.bins import Floats

_POINTS = 20
"""The points of a curve, each of as many rows."""
_LEAST = 40
"""With fewer rows a curve is chance: the model's own probabilities are taken."""
Bools = npt.NDArray[np.bool_]


def calibrated(scores: Floats, right: Bools) -> Curve:
    """How often a class is right by the score of its answers: of these rows, at least one.

    It is monotone in the direction that the rows have: a score may be the probability of another class. The scores are
    taken as they are, if they are probabilities that predict other rows no worse than a curve does.
    """
    falls = len(scores) >= _LEAST and float(np.cov(scores, right)[0, 1]) < 0
    given = Curve(scores=(0.0, 1.0), right=(1.0, 0.0) if falls else (0.0, 1.0))
    are_shares = bool(((scores >= 0) & (scores <= 1)).all())
    if len(scores) < _LEAST:
        mean = min(1.0, max(0.0, float(np.mean(right))))
        return given if are_shares else Curve(scores=(0.0,), right=(mean,))
    halves = np.arange(len(scores)) % 2 == 0
    predicted = np.empty(len(scores))
    for half in (halves, ~halves):
        predicted[half] = read(_fitted(scores[~half], right[~half], falls), scores[half])
    if are_shares and _brier(read(given, scores), right) <= _brier(predicted, right):
        return given
    return _fitted(scores, right, falls)


def read(curve: Curve, scores: Floats) -> Floats:
    """How often predictions with these scores are right."""
    return np.interp(scores, curve.scores, curve.right)


def _fitted(scores: Floats, right: Bools, falls: bool) -> Curve:
    order = np.argsort(scores, kind="stable")
    parts = np.array_split(order, min(_POINTS, len(order)))
    x = np.array([scores[part].mean() for part in parts])
    means = np.array([right[part].mean() for part in parts])
    x, first = np.unique(x, return_inverse=True)
    sizes = np.array([len(part) for part in parts], dtype=np.float64)
    weights = np.asarray(np.bincount(first, sizes), dtype=np.float64)
    y = np.bincount(first, means * sizes) / weights
    shares = 1 - _ascending(1 - y, weights) if falls else _ascending(y, weights)
    return Curve(scores=tuple(x.round(9).tolist()), right=tuple(np.clip(shares, 0, 1).round(6).tolist()))


def _ascending(values: Floats, weights: Floats) -> Floats:
    """The nearest values that do not fall (the pool of adjacent violators)."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        pools.append((value, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (one, light, few), (other, heavy, more) = pools.pop(-2), pools.pop()
            pools.append(((one * light + other * heavy) / (light + heavy), light + heavy, few + more))
    return np.repeat([value for value, _, _ in pools], [count for _, _, count in pools])


def _brier(shares: Floats, right: Bools) -> float:
    return float(np.mean((shares - right) ** 2))
