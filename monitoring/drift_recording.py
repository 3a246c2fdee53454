"""The recording rules of drift: counts of all pods are added first, and every statistic is computed from the sums.

The mean of a statistic over pods would grow with their number. Rows of one request hang together, so a window has no
more independent rows than requests. All rules of a window are in one group: Prometheus evaluates them in order, for
one time.
"""

from __future__ import annotations

from typing import Protocol

from fairlead.contracts import drift_telemetry, profile
from monitoring.promql import IDENTITY, increase, largest, series, total
from monitoring.settings import Drift

SLICE = "slice"
OF_ROWS = (*IDENTITY, SLICE)
FEATURE = (*IDENTITY, "feature", SLICE)
BIN = (*FEATURE, "bin")
ANSWERS = "|".join(profile.ANSWERS)
"""The features that are the model's answers. All others are inputs."""
SPECIAL = {"missing": "na", "out_of_range": "lo|hi", "new_categories": "new"}
"""The bins whose share of the rows is recorded by itself."""
EXPECTED = {"missing": "na", "new_categories": "new|other"}
"""The bins of the reference that say how large a share is natural. Its own share of new values is 0 by construction; a
feature with many rare values will always have some that are new."""
_MMD = 8
"""A wave is half of a cosine, and the kernel is the mean of twice the product of cosines."""
_SMOOTHING = 0.5
"""Is added to every bin, because an empty one has no logarithm."""
_ON_VERSION, _ON_ROWS, _ON_FEATURE = (f"on ({', '.join(labels)})" for labels in (IDENTITY, OF_ROWS, FEATURE))


class Add(Protocol):
    """A function that adds rules."""

    def __call__(self, name: str, expression: str, *labels: str) -> str:
        """Add a rule whose series have these labels. Returns its name."""


class Reference:
    """What the profile says; it is the same on every pod. Attributes are expressions."""

    def __init__(self, add: Add) -> None:
        values = largest(series(drift_telemetry.MODEL_DRIFT_REFERENCE_VALUES), *BIN)
        rows = largest(series(drift_telemetry.MODEL_DRIFT_REFERENCE_ROWS), *FEATURE)
        self.rows = add("model_version_feature:fairlead_drift_reference_rows:max", rows, *FEATURE)
        self.shares = add("model_version_feature_bin:fairlead_drift_reference:ratio", _shares(values, self.rows), *BIN)
        self._quantile = largest(series(drift_telemetry.MODEL_DRIFT_CRITICAL), *IDENTITY, "feature")
        self.expected = {name: _in(self.shares, bins) for name, bins in EXPECTED.items()}

    def critical(self, spread: str) -> str:
        """The PSI that chance exceeds at one look of a thousand. The bins of a slice are those of all rows."""
        return f"({spread}) * on ({', '.join(IDENTITY)}, feature) group_left () {self._quantile}"


class DriftRecords:
    """The rules of one window. Attributes are names of recorded series. `weight` is the one with the label `role`."""

    def __init__(self, add: Add, settings: Drift, window: str, reference: Reference, weight: str) -> None:
        self._add, self.reference = add, reference
        self.values = add(
            f"model_version_feature_bin:fairlead_drift_values:increase{window}",
            total(increase(series(drift_telemetry.MODEL_DRIFT_VALUES), window), *BIN),
            *BIN,
        )
        self.rows = self._feature(f"rows:increase{window}", total(self.values, *FEATURE))
        requests = add(
            f"model_version:fairlead_drift_requests:increase{window}",
            total(increase(series(drift_telemetry.MODEL_DRIFT_REQUESTS), window), *OF_ROWS),
            *OF_ROWS,
        )
        more = f"{self.rows} > {_ON_ROWS} group_left () {requests}"
        self.independent = self._feature(
            f"independent_rows:increase{window}",
            f"0 * ({more}) + {_ON_ROWS} group_left () {requests} or {self.rows}",
        )
        self.live = add(
            f"model_version_feature_bin:fairlead_drift_live:ratio{window}", _shares(self.values, self.rows), *BIN
        )
        enough = f"{self.independent} >= {settings.shown_rows:g}"
        self.psi = self._feature(
            f"psi:{window}", f"sum by ({', '.join(FEATURE)}) ({_terms(self.live, '', reference.shares)}) and {enough}"
        )
        # The variance of the difference of two samples. A small reference counts as much as a small window.
        self.spread = self._feature(f"spread:{window}", f"1 / ({self.independent} > 0) + 1 / {reference.rows}")
        self.critical = self._feature(f"psi_critical:{window}", reference.critical(self.spread))
        self.special = {
            name: self._feature(f"{name}:ratio{window}", f"{_in(self.values, bins)} / ({self.rows} > 0)")
            for name, bins in SPECIAL.items()
        }
        self._of_vectors(window, settings, requests)
        strange = f"{reference.shares} unless {self.values} or {self.values} unless {reference.shares}"
        self.lost_bins = self._feature(
            f"lost_bins:count{window}",
            f"count by ({', '.join(FEATURE)}) ({strange}) or 0 * {reference.rows}",
        )
        self._of_candidate(window, reference, weight, enough)

    def _of_vectors(self, window: str, settings: Drift, requests: str) -> None:
        """The squared MMD of vectors: eight times the mean square of what the mean waves are apart."""
        feature = (*IDENTITY, "feature")
        on_feature = f"on ({', '.join(feature)})"

        def add(name: str, expression: str, *labels: str) -> str:
            return self._add(f"model_version_feature:fairlead_drift_{name}", expression, *feature, *labels)

        vectors = add(
            f"vectors:increase{window}", total(increase(series(drift_telemetry.MODEL_DRIFT_VECTORS), window), *feature)
        )
        more = f'{vectors} > {_ON_VERSION} group_left () {requests}{{slice=""}}'
        self.independent_vectors = add(
            f"independent_vectors:increase{window}",
            f'0 * ({more}) + {_ON_VERSION} group_left () {requests}{{slice=""}} or {vectors}',
        )
        sums = total(increase(series(drift_telemetry.MODEL_DRIFT_DIRECTIONS), window), *feature, "direction")
        means = f"{sums} / {on_feature} group_left () ({vectors} > 0)"
        reference = largest(series(drift_telemetry.MODEL_DRIFT_REFERENCE_DIRECTIONS), *feature, "direction")
        enough = f"{self.independent_vectors} >= {settings.shown_rows:g}"
        self.mmd = add(
            f"mmd:{window}", f"{_MMD} * avg by ({', '.join(feature)}) (({means} - {reference}) ^ 2) and {enough}"
        )
        unit, rows = (
            largest(series(metric), *feature)
            for metric in (drift_telemetry.MODEL_DRIFT_VECTOR_CRITICAL, drift_telemetry.MODEL_DRIFT_REFERENCE_VECTORS)
        )
        self.mmd_critical = add(
            f"mmd_critical:{window}", f"{unit} * (1 / ({self.independent_vectors} > 0) + 1 / {rows})"
        )

    def _of_candidate(self, window: str, reference: Reference, weight: str, enough: str) -> None:
        """A candidate against stable, where both have the same bins."""
        candidate, stable = (f'and {_ON_VERSION} {weight}{{role="{role}"}}' for role in ("candidate", "stable"))
        by_edges = f"max by ({', '.join(IDENTITY)}, edges) ({series(drift_telemetry.MODEL_PROFILE_INFO, kind='given')})"
        same = f"({by_edges} {candidate}) and on (namespace, model, edges) ({by_edges} {stable})"
        of_stable = "on (namespace, model, feature, slice{}) group_left () "
        terms = _terms(f"({self.live} {candidate})", of_stable.format(", bin"), f"({self.live} {stable})")
        self.candidate_psi = self._feature(
            f"candidate_psi:{window}",
            f"sum by ({', '.join(FEATURE)}) ({terms}) and {enough} and {_ON_VERSION} ({same})",
        )
        spread = f"1 / ({self.independent} > 0)"
        self.candidate_critical = self._feature(
            f"candidate_psi_critical:{window}",
            reference.critical(f"({spread} {candidate}) + {of_stable.format('')}({spread} {stable})"),
        )

    def _feature(self, name: str, expression: str) -> str:
        return self._add(f"model_version_feature:fairlead_drift_{name}", expression, *FEATURE)


def _shares(values: str, rows: str) -> str:
    """The smoothed share of each bin. All shares of a feature add up to 1."""
    bins = f"count by ({', '.join(FEATURE)}) ({values})"
    return f"({values} + {_SMOOTHING}) / {_ON_FEATURE} group_left () ({rows} + {_SMOOTHING} * {bins})"


def _terms(shares: str, matched: str, others: str) -> str:
    """What each bin adds to the PSI of two distributions."""
    return f"({shares} - {matched}{others}) * ln({shares} / {matched}{others})"


def _in(values: str, bins: str) -> str:
    return total(f'{values}{{bin=~"{bins}"}}', *FEATURE)
