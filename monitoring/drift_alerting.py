"""The alerts of drift: tickets, never pages, and one for a version with the names of its features, not one for each.

An alert must not be chance. A PSI must be above its critical value, which follows the number of rows, and above a floor
that matters. A share of missing or new values must be far above the reference, and rarer than chance makes it (the
bound of Chernoff for a sum of rare events).
"""

from __future__ import annotations

from collections.abc import Iterator

from fairlead.contracts import control_telemetry, drift_telemetry
from monitoring.alert import MODEL_NAME, VERSION, Alert
from monitoring.drift_recording import ANSWERS, SLICE, DriftRecords
from monitoring.promql import IDENTITY, largest, rate, series, total
from monitoring.recording import MODEL, Records

_WAIT = "30m"
_INPUTS, _ANSWERS = f'feature!~"{ANSWERS}"', f'feature=~"{ANSWERS}"'
_WHO = f"{MODEL_NAME} {VERSION}"
_SHOWN = 3


def of_drift(records: Records) -> Iterator[Alert]:
    """All of them, in the order of the page docs/monitoring.md."""
    settings, drift = records.settings.drift, records.drift[0]
    yield Alert(
        "FairleadFeatureDrift",
        "ticket",
        _WAIT,
        f"{_WHO}: inputs are not as in the reference: {_features(drift.psi, settings.input_floor, _INPUTS)}",
        _versions(_drifted(records, drift.psi, drift.critical, settings.input_floor, _INPUTS)),
    )
    yield Alert(
        "FairleadPredictionDrift",
        "ticket",
        _WAIT,
        f"{_WHO}: answers are not as in the reference: {_features(drift.psi, settings.answer_floor, _ANSWERS)}",
        _versions(_drifted(records, drift.psi, drift.critical, settings.answer_floor, _ANSWERS)),
    )
    yield Alert(
        "FairleadVectorDrift",
        "ticket",
        _WAIT,
        f"{_WHO}: vectors are not as in the reference: {_features(drift.mmd, settings.vector_floor, '', decimals=3)}",
        _versions(
            f"{drift.mmd} > {settings.vector_floor:g} and {drift.mmd} > {settings.times_critical:g} * "
            f"{drift.mmd_critical} and {drift.independent_vectors} > {settings.least_rows:g}"
        ),
    )
    for name, alert, what in (
        ("missing", "FairleadMissingValues", "values are missing"),
        ("new_categories", "FairleadNewCategories", "categories are new"),
    ):
        share = drift.special[name]
        yield Alert(
            alert,
            "ticket",
            _WAIT,
            f"{_WHO}: {what} more often than in the reference: {_features(share, settings.rise, _INPUTS, share=True)}",
            _versions(_too_often(drift, records, share, drift.reference.expected[name])),
        )
    profile = largest(series(drift_telemetry.MODEL_PROFILE_INFO, kind="given"), *IDENTITY)
    counted = total(rate(series(drift_telemetry.MODEL_DRIFT_ROWS), records.settings.window), *IDENTITY)
    yield Alert(
        "FairleadDriftNotMeasured",
        "ticket",
        "15m",
        f"{_WHO}: it has a profile and gets requests, and no row is counted",
        f"{records.requests} > {records.settings.least_rate:g} and on ({', '.join(IDENTITY)}) ({profile}) "
        f"unless on ({', '.join(IDENTITY)}) ({counted} > 0)",
    )
    yield Alert(
        "FairleadDriftBinsMissing",
        "ticket",
        "15m",
        f"{_WHO}: counts and reference have other bins: {_features(drift.lost_bins, 0, '')}",
        _versions(f"{drift.lost_bins} > 0"),
    )
    yield Alert(
        "FairleadCandidateInputsDiffer",
        "ticket",
        "2m",
        f"{MODEL_NAME}: the candidate gets other inputs than stable: `fairlead status` says which",
        # Only the control plane knows whether users stick to a version: few of them differ without any fault.
        f"{largest(series(control_telemetry.CONTROL_CONDITION, condition='InputsDiffer'), *MODEL)} == 1",
    )


def _drifted(records: Records, psi: str, critical: str, floor: float, which: str) -> str:
    """The features whose PSI matters and is no chance."""
    settings, drift = records.settings.drift, records.drift[0]
    return (
        f"{psi}{{{which}}} > {floor:g} and {psi} > {settings.times_critical:g} * {critical} "
        f"and {drift.independent} > {settings.least_rows:g} unless {drift.lost_bins} > 0"
    )


def _too_often(drift: DriftRecords, records: Records, share: str, expected: str) -> str:
    """The inputs with a share that matters and is no chance."""
    settings = records.settings.drift
    chance = f"({share} * ln({share} / ({expected})) - {share} + ({expected})) / {drift.spread}"
    return (
        f"{share}{{{_INPUTS}}} > ({expected}) + {settings.rise:g} and {share} > {settings.times:g} * ({expected}) "
        f"and {chance} > {settings.evidence:g} and {drift.independent} > {settings.least_rows:g}"
    )


def _versions(features: str) -> str:
    """How many features of each version there are."""
    return f"count by ({', '.join(IDENTITY)}) ({features})"


def _features(record: str, above: float, which: str, *, share: bool = False, decimals: int = 2) -> str:
    """Template: the features with the highest values, and the values."""
    matchers = ",".join((*(f"{label}=%q" for label in IDENTITY), *([which.replace('"', r"\"")] if which else ())))
    asked = f"sort_desc(topk({_SHOWN}, {record}{{{matchers}}} > {above:g}))"
    labels = " ".join(f"$labels.{label}" for label in IDENTITY)
    value = ".Value | humanizePercentage" if share else f'.Value | printf "%.{decimals}f"'
    part = f"{{{{ with $one.Labels.{SLICE} }}}} of slice {{{{ . }}}}{{{{ end }}}}"
    return (
        f'{{{{ range $at, $one := query (printf "{asked}" {labels}) }}}}{{{{ if $at }}}}, {{{{ end }}}}'
        f"{{{{ $one.Labels.feature }}}}{part} {{{{ $one{value} }}}}{{{{ end }}}}"
    )
