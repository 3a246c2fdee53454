"""For the alert of quality: series with which it fires, and series with which it must not."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.contracts import drift_telemetry
from monitoring.promql import series
from prometheus.cases import IRIS, Case, Inputs, gauge, rising

VERSION = {**IRIS, "version": "1.0.0"}
SUMMARY = "iris 1.0.0: labels say that it is worse than on held-out rows"
Cells = Mapping[str, float]
"""Rows by the predicted class and the true one: `ab` is an a that is b."""


def cell(pair: str) -> dict[str, str]:
    return {**VERSION, "predicted": pair[0], "truth": pair[1], "correct": "true" if pair[0] == pair[1] else "false"}


def held_out(rows: Cells) -> Inputs:
    return {
        name: values
        for pair, count in rows.items()
        for name, values in gauge(drift_telemetry.MODEL_REFERENCE_OUTCOMES, count, **cell(pair)).items()
    }


def labels(a_minute: Cells) -> Inputs:
    return {
        series(drift_telemetry.MODEL_FEEDBACK_OUTCOMES, **cell(pair)): rising(count) for pair, count in a_minute.items()
    }


def numbers(rows: float, mean: float, square: float, *, held_out: bool) -> Inputs:
    """Labels a minute, or held-out rows, with such a mean error and mean square."""
    if held_out:
        return {
            **gauge(drift_telemetry.MODEL_REFERENCE_NUMBERS, rows, **VERSION),
            **gauge(drift_telemetry.MODEL_REFERENCE_ABSOLUTE_ERRORS, rows * mean, **VERSION),
            **gauge(drift_telemetry.MODEL_REFERENCE_SQUARED_ERRORS, rows * square, **VERSION),
        }
    return {
        series(drift_telemetry.MODEL_FEEDBACK_NUMBERS, **VERSION): rising(rows),
        series(drift_telemetry.MODEL_FEEDBACK_ABSOLUTE_ERRORS, **VERSION): rising(rows * mean),
        series(drift_telemetry.MODEL_FEEDBACK_SQUARED_ERRORS, **VERSION): rising(rows * square),
    }


GOOD = held_out({"aa": 450, "ab": 50, "ba": 50, "bb": 450})
CASES = (
    Case(
        "FairleadQualityLow",
        {**GOOD, **labels({"aa": 4, "ab": 1, "ba": 1, "bb": 4})},
        # As many are wrong as on held-out rows.
        {**GOOD, **labels({"aa": 4.5, "ab": 0.5, "ba": 0.5, "bb": 4.5})},
        100,
        SUMMARY,
        VERSION,
    ),
    Case(
        "FairleadQualityLow",
        {**GOOD, **labels({"aa": 0.1, "ab": 2, "ba": 2, "bb": 0.1})},
        # 0.84 instead of 0.9, by 250 labels where there were only 40 held-out rows.
        {
            **held_out({"aa": 18, "ab": 2, "ba": 2, "bb": 18}),
            **labels({"aa": 1.05, "ab": 0.2, "ba": 0.2, "bb": 1.05}),
        },
        119,
        SUMMARY,
        VERSION,
    ),
    Case(
        "FairleadQualityLow",
        {**numbers(1000, 10, 150, held_out=True), **numbers(10, 14, 280, held_out=False)},
        {**numbers(1000, 10, 150, held_out=True), **numbers(10, 11, 180, held_out=False)},  # a tenth is no fifth
        100,
        SUMMARY,
        VERSION,
    ),
)
