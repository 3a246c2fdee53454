"""The alert of quality: labels say that a version is worse than on held-out rows, and it is no chance.

It is a ticket. Both the difference and the noise of it count: few labels, or few held-out rows, prove little.
"""

from __future__ import annotations

from collections.abc import Iterator

from monitoring.alert import MODEL_NAME, VERSION, Alert
from monitoring.quality_recording import Errors
from monitoring.recording import Records


def of_quality(records: Records) -> Iterator[Alert]:
    """All of them, in the order of the page docs/monitoring.md."""
    yield Alert(
        "FairleadQualityLow",
        "ticket",
        "30m",
        f"{MODEL_NAME} {VERSION}: labels say that it is worse than on held-out rows",
        f"({_less_often_right(records)}) or ({_further_off(records)})",
    )


def _less_often_right(records: Records) -> str:
    settings, quality = records.settings.quality, records.quality
    real, reference = quality.real.accuracy, quality.reference.accuracy
    spread = f"{real} * (1 - {real}) / {quality.real.rows} + {reference} * (1 - {reference}) / {quality.reference.rows}"
    return (
        f"{reference} - {real} > {settings.accuracy_floor:g} "
        f"and {reference} - {real} > {settings.deviations:g} * sqrt({spread}) "
        f"and {quality.real.rows} > {settings.least_labels:g}"
    )


def _further_off(records: Records) -> str:
    settings, quality = records.settings.quality, records.quality
    real, reference = quality.real_errors, quality.reference_errors
    return (
        f"{real.mean} - {reference.mean} > {settings.error_factor - 1:g} * {reference.mean} "
        f"and {real.mean} - {reference.mean} > {settings.deviations:g} * sqrt({_spread(real)} + {_spread(reference)}) "
        f"and {real.rows} > {settings.least_labels:g}"
    )


def _spread(errors: Errors) -> str:
    """The variance of the mean absolute error."""
    return f"abs({errors.root} ^ 2 - {errors.mean} ^ 2) / {errors.rows}"  # rounded, the difference may be below 0
