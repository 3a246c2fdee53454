"""Quality: how often each version is right, by labels, by estimate, and on the held-out rows of its profile."""

from __future__ import annotations

from fairlead.contracts import drift_telemetry
from monitoring.boards.choices import OF_VERSION, STEP, chosen
from monitoring.looks import PERCENT, matrix
from monitoring.panels import Panel, Query, Row
from monitoring.promql import rate, series, total
from monitoring.recording import Records

_VERSION, _CLASS = "{{version}}", "{{version}} {{class}}"


def quality(records: Records) -> Row:
    """The panels, for the dashboard of drift."""
    found, window = records.quality, records.settings.quality.window
    real, estimated, reference = found.real, found.estimated, found.reference
    flow = total(rate(series(drift_telemetry.MODEL_FEEDBACK_LABELS, **OF_VERSION), STEP), "version", "outcome")
    return Row(
        "Quality",
        (
            Panel(
                "Accuracy",
                f"The share of right answers, {window}. Estimated: without labels, by how sure the model is; that does "
                "not see that the world has changed.",
                (
                    Query(chosen(real.accuracy, **OF_VERSION), f"{_VERSION} real"),
                    Query(chosen(estimated.accuracy, **OF_VERSION), f"{_VERSION} estimated"),
                    Query(chosen(reference.accuracy, **OF_VERSION), f"{_VERSION} on held-out rows"),
                ),
                PERCENT,
            ),
            Panel(
                "F1",
                f"The harmonic mean of precision and recall of each class, {window}.",
                (
                    Query(chosen(real.f1, **OF_VERSION), f"{_CLASS} real"),
                    Query(chosen(estimated.f1, **OF_VERSION), f"{_CLASS} estimated"),
                    Query(chosen(reference.f1, **OF_VERSION), f"{_CLASS} on held-out rows"),
                ),
                PERCENT,
            ),
            Panel(
                "Precision and recall",
                f"Of the answers with a class, how many are right; and of all that is of the class, how much is found, "
                f"{window}.",
                (
                    Query(chosen(real.precision, **OF_VERSION), f"{_CLASS} precision"),
                    Query(chosen(real.recall, **OF_VERSION), f"{_CLASS} recall"),
                    Query(chosen(estimated.precision, **OF_VERSION), f"{_CLASS} precision, estimated"),
                    Query(chosen(estimated.recall, **OF_VERSION), f"{_CLASS} recall, estimated"),
                ),
                PERCENT,
            ),
            Panel(
                "What was predicted, and what was true",
                f"Labels by the class that was predicted, one a line, and the true one, {window}. other: all classes "
                "without a place of their own.",
                (Query(f"sum by (predicted, truth) ({chosen(real.cells, **OF_VERSION)})", "labels"),),
                kind="table",
                options={"showHeader": True},
                transformations=matrix("predicted", "truth"),
            ),
            Panel(
                "Error",
                "How far numbers are from the true ones, in their own unit: the mean, and the root of the mean square, "
                f"{window}.",
                (
                    Query(chosen(found.real_errors.mean, **OF_VERSION), f"{_VERSION} mean"),
                    Query(chosen(found.real_errors.root, **OF_VERSION), f"{_VERSION} root mean square"),
                    Query(chosen(found.reference_errors.mean, **OF_VERSION), f"{_VERSION} mean on held-out rows"),
                    Query(
                        chosen(found.reference_errors.root, **OF_VERSION),
                        f"{_VERSION} root mean square on held-out rows",
                    ),
                ),
            ),
            Panel(
                "Labels",
                "Labels per second by what became of them. Only those that are counted are in the other panels.",
                (Query(flow, f"{_VERSION} {{{{outcome}}}}"),),
                "cps",
            ),
            Panel(
                "Coverage",
                f"Labels that were counted as a share of the rows that were answered, {window}. The rest is not known.",
                (Query(chosen(found.coverage, **OF_VERSION), _VERSION),),
                PERCENT,
                width=12,
            ),
            Panel(
                "Lag",
                f"From an answer to its label, the median of {window}, of labels that say when the answer was given.",
                (Query(chosen(found.lag, **OF_VERSION), _VERSION),),
                "s",
                width=12,
            ),
        ),
    )
