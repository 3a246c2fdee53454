"""The rules that look for drift, each for many windows at once: ours, PSI above 0.2, and Evidently's default.

Evidently's is computed by its published formulas: Wasserstein distance by the reference's standard deviation, and
Jensen-Shannon distance, both from 0.1 on; with up to 1000 reference rows tests at p < 0.05; and a data set has drifted
if half of its columns have.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fairlead.contracts.profile import MISSING, NEW, OTHER
from fairlead.profile.statistics import SMOOTHING, chi_squared_quantile
from monitoring.settings import DEFAULT, Drift
from support.drift.rows import Counted, Floats, Ints

Bools = npt.NDArray[np.bool_]
SETTINGS = DEFAULT.drift
FIXED = 0.2
DISTANCE, P, SMALL = 0.1, 0.05, 1000
_KOLMOGOROV = 1.3581
"""What the statistic of Kolmogorov exceeds at p = 0.05."""


def shares(counts: Ints) -> Floats:
    """The smoothed shares of each line of counts."""
    added = counts + SMOOTHING
    return np.asarray(added / added.sum(axis=-1, keepdims=True))


def psi(counts: Ints, reference: Ints) -> Floats:
    """The PSI of each line of counts."""
    p, q = shares(counts), shares(reference)
    return np.asarray(((p - q) * np.log(p / q)).sum(axis=-1))


def alarms(feature: Counted, counts: Ints, requests: int, settings: Drift = SETTINGS) -> Bools:
    """The windows in which an alert of ours would fire for a feature: drift, missing values or new categories."""
    rows = counts.sum(axis=-1)
    independent = np.minimum(rows, requests)
    spread = 1 / np.maximum(independent, 1) + 1 / feature.counts.sum()
    floor = settings.answer_floor if feature.kind.answer else settings.input_floor
    found = psi(counts, feature.counts)
    fires = (found > floor) & (found > settings.times_critical * feature.feature.critical * spread)
    if not feature.kind.answer:
        for name, expected in ((MISSING, (MISSING,)), (NEW, (NEW, OTHER))):
            fires |= _too_often(feature, counts, rows, spread, name, expected, settings)
    return np.asarray(fires & (independent > settings.least_rows))


def _too_often(
    feature: Counted,
    counts: Ints,
    rows: Ints,
    spread: Floats,
    name: str,
    natural: Sequence[str],
    settings: Drift,
) -> Bools:
    at = feature.names == name
    if not at.any():
        return np.zeros(len(counts), dtype=np.bool_)
    share = counts[:, at].sum(axis=-1) / np.maximum(rows, 1)
    expected = shares(feature.counts)[np.isin(feature.names, natural)].sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        evidence = (share * np.log(share / expected) - share + expected) / spread
    far = (share > expected + settings.rise) & (share > settings.times * expected)
    return np.asarray(far & (evidence > settings.evidence))


def fixed(feature: Counted, counts: Ints) -> Bools:
    """PSI above 0.2, whatever the number of rows."""
    return np.asarray(psi(counts, feature.counts) > FIXED)


def evidently(feature: Counted, rows: Floats) -> Bools:
    """The windows in which Evidently's default calls a column drifted. Missing values are left out, as it does."""
    small = len(feature.reference) <= SMALL
    if feature.kind.choices:
        return _chi_squared(feature, rows) if small else _jensen_shannon(feature, rows)
    reference = np.sort(feature.reference[~np.isnan(feature.reference)])
    return np.array([_numbers(reference, line[~np.isnan(line)], small) for line in rows])


def _numbers(reference: Floats, line: Floats, small: bool) -> bool:
    line = np.sort(line)
    every = np.concatenate((reference, line))
    every.sort(kind="stable")
    below = np.searchsorted(reference, every, side="right") / len(reference)
    above = np.searchsorted(line, every, side="right") / len(line)
    if small:
        limit = _KOLMOGOROV * np.sqrt(1 / len(line) + 1 / len(reference))
        return bool(np.abs(below - above).max() > limit)
    distance = (np.abs(below - above)[:-1] * np.diff(every)).sum()
    return bool(distance / reference.std() >= DISTANCE)


def _values(feature: Counted, rows: Floats) -> tuple[Ints, Ints]:
    choices = feature.kind.choices
    reference = np.bincount(feature.reference.astype(np.int64), minlength=choices)
    places = rows.astype(np.int64) + np.arange(len(rows))[:, None] * choices
    return np.bincount(places.ravel(), minlength=len(rows) * choices).reshape(len(rows), choices), reference


def _jensen_shannon(feature: Counted, rows: Floats) -> Bools:
    counts, reference = _values(feature, rows)
    p, q = counts / counts.sum(axis=-1, keepdims=True), reference / reference.sum()
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        nats = np.nansum(p * np.log(p / middle), axis=-1) + np.nansum(q * np.log(q / middle), axis=-1)
    return np.asarray(np.sqrt(nats / 2) >= DISTANCE)


def _chi_squared(feature: Counted, rows: Floats) -> Bools:
    counts, reference = _values(feature, rows)
    expected = reference / reference.sum() * counts.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.nansum((counts - expected) ** 2 / expected, axis=-1)
    return np.asarray(found > chi_squared_quantile(P, max(1, int((reference > 0).sum()) - 1)))
