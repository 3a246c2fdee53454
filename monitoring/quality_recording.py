"""The recording rules of quality: how often versions are right, or by how much they err.

There are three of each: real, by the labels that clients send; estimated, without labels; and the reference, by the
held-out rows of the profile. Counts of all pods are added first, and every ratio is computed from the sums.
"""

from __future__ import annotations

from collections.abc import Callable

from fairlead.contracts import drift_telemetry, telemetry
from fairlead.contracts.telemetry import Metric
from monitoring.drift_recording import Add
from monitoring.promql import IDENTITY, increase, largest, series, total
from monitoring.settings import Quality

CLASS = (*IDENTITY, "class")
CELL = (*IDENTITY, "predicted", "truth", "correct")
_REST = "other"
"""Is no class, but all that have no place of their own."""
Read = Callable[[Metric, tuple[str, ...]], str]
"""The expression that reads a metric, by these labels."""


class Outcomes:
    """How often predictions of classes are right. Attributes are names of recorded series."""

    def __init__(self, add: Add, kind: str, window: str, metric: Metric, read: Read) -> None:
        over = f"increase{window}" if window else "max"
        self.cells = add(
            f"model_version_predicted_truth_correct:fairlead_{kind}_outcomes:{over}",
            read(metric, CELL),
            *CELL,
        )
        right = f'{self.cells}{{correct="true"}}'
        self.rows = add(
            f"model_version:fairlead_{kind}_outcomes:{over}",
            total(self.cells, *IDENTITY),
            *IDENTITY,
        )
        self.accuracy = add(
            f"model_version:fairlead_{kind}_accuracy:ratio{window}",
            f"{total(right, *IDENTITY)} / ({self.rows} > 0)",
            *IDENTITY,
        )
        hits = _by_class(self.cells, "predicted", 'correct="true",')
        predicted, true = (_by_class(self.cells, label) for label in ("predicted", "truth"))
        self.precision, self.recall, self.f1 = (
            add(f"model_version_class:fairlead_{kind}_{name}:ratio{window}", expression, *CLASS)
            for name, expression in (
                ("precision", f"{hits} / ({predicted} > 0)"),
                ("recall", f"{hits} / ({true} > 0)"),
                ("f1", f"2 * {hits} / ({predicted} + {true} > 0)"),
            )
        )


class Errors:
    """By how much predictions of numbers are off. Attributes are names of recorded series."""

    def __init__(
        self, add: Add, kind: str, window: str, rows: Metric, absolute: Metric, squared: Metric, read: Read
    ) -> None:
        over = f"increase{window}" if window else "max"
        self.rows = add(f"model_version:fairlead_{kind}_numbers:{over}", read(rows, IDENTITY), *IDENTITY)
        self.mean = add(
            f"model_version:fairlead_{kind}_absolute_error:mean{window}",
            f"{read(absolute, IDENTITY)} / ({self.rows} > 0)",
            *IDENTITY,
        )
        self.root = add(
            f"model_version:fairlead_{kind}_error:rms{window}",
            f"sqrt({read(squared, IDENTITY)} / ({self.rows} > 0))",
            *IDENTITY,
        )


class QualityRecords:
    """All rules. Attributes are names of recorded series, or groups of them."""

    def __init__(self, add: Add, settings: Quality) -> None:
        window = settings.window

        def counted(metric: Metric, labels: tuple[str, ...]) -> str:
            return total(increase(series(metric), window), *labels)

        def stated(metric: Metric, labels: tuple[str, ...]) -> str:
            return largest(series(metric), *labels)  # it is the same on every pod

        self.reference = Outcomes(add, "reference", "", drift_telemetry.MODEL_REFERENCE_OUTCOMES, stated)
        self.real = Outcomes(add, "real", window, drift_telemetry.MODEL_FEEDBACK_OUTCOMES, counted)
        self.estimated = Outcomes(add, "estimated", window, drift_telemetry.MODEL_ESTIMATED_OUTCOMES, counted)
        self.reference_errors = Errors(
            add,
            "reference",
            "",
            drift_telemetry.MODEL_REFERENCE_NUMBERS,
            drift_telemetry.MODEL_REFERENCE_ABSOLUTE_ERRORS,
            drift_telemetry.MODEL_REFERENCE_SQUARED_ERRORS,
            stated,
        )
        self.real_errors = Errors(
            add,
            "real",
            window,
            drift_telemetry.MODEL_FEEDBACK_NUMBERS,
            drift_telemetry.MODEL_FEEDBACK_ABSOLUTE_ERRORS,
            drift_telemetry.MODEL_FEEDBACK_SQUARED_ERRORS,
            counted,
        )
        labels = total(increase(series(drift_telemetry.MODEL_FEEDBACK_LABELS, outcome="counted"), window), *IDENTITY)
        answered = total(increase(series(telemetry.MODEL_ROWS, outcome="answered"), window), *IDENTITY)
        self.coverage = add(
            f"model_version:fairlead_label_coverage:ratio{window}", f"{labels} / ({answered} > 0)", *IDENTITY
        )
        lags = total(increase(series(drift_telemetry.MODEL_FEEDBACK_LAG, "_bucket"), window), *IDENTITY, "le")
        self.lag = add(
            f"model_version:fairlead_label_lag_seconds:p50_{window}", f"histogram_quantile(0.5, {lags})", *IDENTITY
        )


def _by_class(cells: str, label: str, more: str = "") -> str:
    """The sums of cells by one of their classes, which becomes the label `class`."""
    chosen = total(f'{cells}{{{more}{label}!="{_REST}"}}', *IDENTITY, label)
    return total(f'label_replace({chosen}, "class", "$1", "{label}", "(.*)")', *CLASS)
