"""Drift: how far inputs and answers of each version are from the reference, and whether that is more than chance."""

from __future__ import annotations

from fairlead.contracts import drift_telemetry, telemetry
from monitoring.boards.choices import OF_FEATURE, OF_VERSION, STEP, chosen, releases, variables
from monitoring.boards.quality import quality
from monitoring.drift_recording import ANSWERS, SLICE, DriftRecords
from monitoring.looks import PERCENT, corner, heat, matrix, red_from
from monitoring.panels import Dashboard, Panel, Query, Row
from monitoring.promql import rate, series, total
from monitoring.recording import Records
from monitoring.settings import Drift

_VERSION, _FEATURE = "{{version}}", "{{version}} {{feature}}"
_ALL_ROWS = {**OF_VERSION, SLICE: ""}
_OF_ANSWERS = {**_ALL_ROWS, "feature": f"~{ANSWERS}"}


def board(records: Records) -> Dashboard:
    """The dashboard."""
    settings, (short, long) = records.settings.drift, records.drift
    shorter, longer = (window for window, _ in settings.windows)
    return Dashboard(
        "fairlead-drift",
        "Fairlead / Drift",
        "How far inputs and answers of each version are from the reference, and whether that is more than chance.",
        variables(records, "namespace", "model", "version", "feature", one=("namespace", "model", "feature")),
        (
            Row(
                "All features",
                (
                    Panel(
                        f"PSI, {shorter}",
                        "How far each feature is from its reference now. Empty: too few requests to say. Red: an input "
                        "that has moved so far is worth a look.",
                        (Query(f"max by (feature, version) ({chosen(short.psi, **_ALL_ROWS)})", "PSI"),),
                        kind="table",
                        width=12,
                        height=12,
                        defaults=heat(settings.answer_floor, settings.input_floor),
                        transformations=matrix("feature", "version"),
                    ),
                    _answers(short, long, shorter, longer),
                    Panel(
                        "Independent rows",
                        f"Rows in {shorter} that can be taken as independent: no more than requests. Below "
                        f"{settings.shown_rows:g} there is no PSI, and up to {settings.least_rows:g} no alert.",
                        (Query(f"max by (version) ({chosen(short.independent, **_ALL_ROWS)})", _VERSION),),
                        width=12,
                        height=6,
                    ),
                ),
            ),
            Row(
                "The chosen feature",
                (
                    Panel(
                        "PSI over time",
                        "An alert needs a PSI above both limits for half an hour. The one of chance follows the number "
                        "of rows.",
                        (
                            Query(chosen(short.psi, **OF_FEATURE), f"{_FEATURE} {shorter}"),
                            Query(chosen(long.psi, **OF_FEATURE), f"{_FEATURE} {longer}"),
                            Query(
                                _limit(settings, short.critical, short.psi, **OF_FEATURE),
                                f"{_FEATURE} more than chance",
                            ),
                            Query(f"vector({settings.input_floor:g})", "an input matters"),
                        ),
                        width=12,
                        height=10,
                    ),
                    Panel(
                        "Now and in the reference",
                        f"The share of the rows in each bin: {shorter} and the reference. lo and hi are outside the "
                        "reference's range, na is missing, new was not in the reference.",
                        (
                            Query(
                                f"{_named(short.live, 'now')} or {_named(short.reference.shares, 'reference')}", "bin"
                            ),
                        ),
                        PERCENT,
                        kind="barchart",
                        width=12,
                        height=10,
                        options={"xField": corner("bin", "shown")},
                        transformations=matrix("bin", "shown"),
                    ),
                    Panel(
                        "Missing values",
                        "The share of the rows without a value, or with NaN.",
                        (Query(chosen(short.special["missing"], **OF_FEATURE), _FEATURE),),
                        PERCENT,
                    ),
                    Panel(
                        "Out of range",
                        "The share of the rows below or above the range of the reference.",
                        (Query(chosen(short.special["out_of_range"], **OF_FEATURE), _FEATURE),),
                        PERCENT,
                    ),
                    Panel(
                        "New categories",
                        "The share of the rows with a value that the reference does not have.",
                        (Query(chosen(short.special["new_categories"], **OF_FEATURE), _FEATURE),),
                        PERCENT,
                    ),
                ),
            ),
            _slices(short, shorter, settings),
            _vectors(short, long, shorter, longer, settings),
            Row(
                "A candidate against stable",
                (
                    Panel(
                        "Inputs against stable's",
                        "PSI of the candidate's inputs against stable's. Requests are assigned at random, so anything "
                        "above the lines is a fault of routing or parsing, or a few users who send most requests.",
                        (
                            Query(chosen(short.candidate_psi, **_NO_ANSWERS), _FEATURE),
                            Query(
                                f"max by (version) "
                                f"({_limit(settings, short.candidate_critical, short.candidate_psi, **_NO_ANSWERS)})",
                                f"{_VERSION} more than chance",
                            ),
                        ),
                        width=12,
                    ),
                    Panel(
                        "Answers against stable's",
                        "PSI of the candidate's answers against stable's: what the new version changes.",
                        (
                            Query(chosen(short.candidate_psi, **_OF_ANSWERS), _FEATURE),
                            Query(
                                _limit(settings, short.candidate_critical, short.candidate_psi, **_OF_ANSWERS),
                                f"{_FEATURE} more than chance",
                            ),
                        ),
                        width=12,
                    ),
                ),
            ),
            quality(records),
            Row(
                "Is it measured?",
                (
                    Panel(
                        "Rows",
                        "Rows per second that were counted, that were skipped because too many came at once, and that "
                        "could not be counted. Skipped rows do not bend the shares; failed ones may.",
                        (
                            Query(_flow(drift_telemetry.MODEL_DRIFT_ROWS), f"{_VERSION} counted"),
                            Query(_flow(drift_telemetry.MODEL_DRIFT_SKIPPED), f"{_VERSION} skipped"),
                            Query(_flow(drift_telemetry.MODEL_DRIFT_FAILED), f"{_VERSION} failed"),
                        ),
                        "rowsps",
                        width=12,
                    ),
                    Panel(
                        "Lost bins",
                        "Bins that only the counts have, or only the reference. Anything but 0: the PSI is wrong.",
                        (Query(f"max by (version) ({chosen(short.lost_bins, **_ALL_ROWS)})", _VERSION),),
                        width=12,
                        defaults=red_from(1),
                    ),
                ),
            ),
        ),
        (releases(namespace="~$namespace", model="~$model"),),
    )


_NO_ANSWERS = {**_ALL_ROWS, "feature": f"!~{ANSWERS}"}


def _answers(short: DriftRecords, long: DriftRecords, shorter: str, longer: str) -> Panel:
    found = ((short.psi, shorter), (long.psi, longer))
    return Panel(
        "Answers",
        "PSI of the predictions and of their confidence. Without labels this is the nearest to a change of quality.",
        tuple(Query(chosen(record, **_OF_ANSWERS), f"{_FEATURE} {window}") for record, window in found),
        width=12,
        height=6,
    )


def _slices(short: DriftRecords, window: str, settings: Drift) -> Row:
    of_slices = {**OF_VERSION, SLICE: "!="}
    return Row(
        "Slices of rows",
        (
            Panel(
                f"PSI of slices, {window}",
                "How far each feature of the rows of a slice is from these rows in the reference. Empty: the profile "
                "declares no slice, or it has too few requests to say.",
                (Query(f"max by (feature, slice) ({chosen(short.psi, **of_slices)})", "PSI"),),
                kind="table",
                width=12,
                height=10,
                defaults=heat(settings.answer_floor, settings.input_floor),
                transformations=matrix("feature", "slice"),
            ),
            Panel(
                "The chosen feature in each slice",
                "Its PSI over time. One slice that moves alone: a few users, who are not seen in all rows.",
                (Query(chosen(short.psi, **of_slices, feature="$feature"), "{{version}} {{slice}}"),),
                width=6,
                height=10,
            ),
            Panel(
                "Independent rows of slices",
                f"Rows of each slice in {window} that can be taken as independent. Up to "
                f"{settings.least_rows:g} there is no alert.",
                (
                    Query(
                        f"max by (version, slice) ({chosen(short.independent, **of_slices)})", "{{version}} {{slice}}"
                    ),
                ),
                width=6,
                height=10,
            ),
        ),
    )


def _vectors(short: DriftRecords, long: DriftRecords, shorter: str, longer: str, settings: Drift) -> Row:
    return Row(
        "Vectors",
        (
            Panel(
                "MMD of vectors",
                "How far vectors, such as embeddings, are from the reference: the squared MMD. An alert needs one "
                "above both limits for half an hour. Empty: the profile has no vector, or there are too few requests.",
                (
                    Query(chosen(short.mmd, **OF_VERSION), f"{_FEATURE} {shorter}"),
                    Query(chosen(long.mmd, **OF_VERSION), f"{_FEATURE} {longer}"),
                    Query(
                        _limit(settings, short.mmd_critical, short.mmd, **OF_VERSION),
                        f"{_FEATURE} more than chance",
                    ),
                    Query(f"vector({settings.vector_floor:g})", "it matters"),
                ),
                width=12,
            ),
            Panel(
                "Independent vectors",
                f"Vectors in {shorter} that can be taken as independent: no more than requests. Vectors with a number "
                "that is not finite are not counted.",
                (Query(chosen(short.independent_vectors, **OF_VERSION), _FEATURE),),
                width=12,
            ),
        ),
    )


def _limit(settings: Drift, critical: str, shown: str, **matchers: str) -> str:
    """What chance explains, where there is something to compare with it: with few rows it would fill the panel."""
    return f"{settings.times_critical:g} * {chosen(critical, **matchers)} and {chosen(shown, **matchers)}"


def _named(record: str, word: str) -> str:
    """Shares with the label `shown`: the version and the word."""
    return f'label_replace({chosen(record, **OF_FEATURE)}, "shown", "$1 {word}", "version", "(.*)")'


def _flow(metric: telemetry.Metric) -> str:
    return total(rate(series(metric, **OF_VERSION), STEP), "version")
