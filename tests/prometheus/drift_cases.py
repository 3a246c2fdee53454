"""For each alert of drift: series with which it fires, and series with which it must not."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.contracts import control_telemetry, drift_telemetry
from monitoring.promql import series
from prometheus.cases import IRIS, Case, Inputs, answers, gauge, rising

VERSION = {**IRIS, "version": "1.0.0"}
QUANTILE = {4: 16.27, 5: 18.47}
"""What chi-squared exceeds once in a thousand, by the number of bins."""
DECILES = {"00": 500, "01": 500, "na": 0, "new": 0}
"""A small reference. As rows a minute it gives the same shares."""


def reference(feature: str, rows: Mapping[str, int], version: str = "1.0.0", **of_slice: str) -> Inputs:
    where = {**IRIS, "version": version, "feature": feature}
    part = {**where, **of_slice}
    return {
        **{
            name: values
            for bin_name, count in rows.items()
            for name, values in gauge(drift_telemetry.MODEL_DRIFT_REFERENCE_VALUES, count, bin=bin_name, **part).items()
        },
        **gauge(drift_telemetry.MODEL_DRIFT_REFERENCE_ROWS, sum(rows.values()), **part),
        **gauge(drift_telemetry.MODEL_DRIFT_CRITICAL, QUANTILE[len(rows)], **where),
    }


def live(feature: str, a_minute: Mapping[str, float], version: str = "1.0.0", **of_slice: str) -> Inputs:
    where = {**IRIS, "version": version, "feature": feature, **of_slice}
    return {
        series(drift_telemetry.MODEL_DRIFT_VALUES, bin=name, **where): rising(count) for name, count in a_minute.items()
    }


def requests(a_minute: float, version: str = "1.0.0", **of_slice: str) -> Inputs:
    return {series(drift_telemetry.MODEL_DRIFT_REQUESTS, **IRIS, version=version, **of_slice): rising(a_minute)}


def feature(
    name: str, a_minute: Mapping[str, float], rows: Mapping[str, int] = DECILES, version: str = "1.0.0", **of_slice: str
) -> Inputs:
    return {**reference(name, rows, version, **of_slice), **live(name, a_minute, version, **of_slice)}


def profile(version: str = "1.0.0", edges: str = "e") -> Inputs:
    return gauge(drift_telemetry.MODEL_PROFILE_INFO, 1, **IRIS, version=version, profile="p", edges=edges, kind="given")


def counted(rows_a_minute: float) -> Inputs:
    return {series(drift_telemetry.MODEL_DRIFT_ROWS, **VERSION): rising(rows_a_minute)}


def arms(candidate: Mapping[str, float], edges: str = "e") -> Inputs:
    """Stable with half of the rows in each bin, and a candidate."""
    return {
        **gauge(control_telemetry.CONTROL_WEIGHT, 5000, **IRIS, version="1.0.0", role="stable"),
        **gauge(control_telemetry.CONTROL_WEIGHT, 5000, **IRIS, version="1.1.0", role="candidate"),
        **profile("1.0.0"),
        **profile("1.1.0", edges),
        **requests(20),
        **requests(20, "1.1.0"),
        **feature("length", {"00": 10, "01": 10, "na": 0, "new": 0}),
        **reference("length", DECILES, "1.1.0"),
        **live("length", candidate, "1.1.0"),
    }


def inputs(reason: str, differ: int) -> Inputs:
    """What the control plane says of the rows of candidate and stable."""
    return gauge(control_telemetry.CONTROL_CONDITION, differ, condition="InputsDiffer", reason=reason, **IRIS)


def vectors(a_minute: float, wave: float, reference: float = 0.5) -> Inputs:
    """Vectors whose waves are all as high, in two directions."""
    where = {**VERSION, "feature": "embedding"}
    return {
        **gauge(drift_telemetry.MODEL_DRIFT_REFERENCE_VECTORS, 1000, **where),
        **gauge(drift_telemetry.MODEL_DRIFT_VECTOR_CRITICAL, 1.5, **where),
        series(drift_telemetry.MODEL_DRIFT_VECTORS, **where): rising(a_minute),
        **{
            name: values
            for way in ("000", "001")
            for name, values in {
                **gauge(drift_telemetry.MODEL_DRIFT_REFERENCE_DIRECTIONS, reference, direction=way, **where),
                series(drift_telemetry.MODEL_DRIFT_DIRECTIONS, direction=way, **where): rising(wave * a_minute),
            }.items()
        },
    }


SHIFTED = {"00": 17, "01": 3, "na": 0, "new": 0}
NULL = {"00": 10, "01": 10, "na": 0, "new": 0}
CASES = (
    Case(
        "FairleadFeatureDrift",
        {
            **requests(20),
            **feature("length", SHIFTED),
            **feature("width", {**NULL, "00": 16, "01": 4}),
            **feature("depth", NULL),
        },
        # As far from the reference, but 20 rows of each request hang together: 60 requests an hour prove nothing.
        {**requests(1), **feature("length", SHIFTED)},
        95,
        "iris 1.0.0: inputs are not as in the reference: length 0.61, width 0.41",
        VERSION,
    ),
    Case(
        "FairleadFeatureDrift",
        {**requests(20), **feature("length", {"na": 20, "00": 0, "01": 0, "new": 0})},
        # A reference of 40 rows says little: such a PSI is chance.
        {**requests(20), **feature("length", {**NULL, "00": 15, "01": 5}, {"00": 20, "01": 20, "na": 0, "new": 0})},
        95,
        "iris 1.0.0: inputs are not as in the reference: length 14.67",
        VERSION,
    ),
    Case(
        "FairleadFeatureDrift",
        {
            **requests(400),
            **feature("length", {"00": 207, "01": 193, "na": 0, "new": 0}),
            # One row of twenty, which has moved, and which is not seen in all rows.
            **requests(20, slice="south"),
            **feature("length", SHIFTED, slice="south"),
        },
        # The same shift of 3 requests a minute is too few of them.
        {
            **requests(400),
            **feature("length", NULL),
            **requests(3, slice="south"),
            **feature("length", SHIFTED, slice="south"),
        },
        95,
        "iris 1.0.0: inputs are not as in the reference: length of slice south 0.61",
        VERSION,
    ),
    Case(
        "FairleadPredictionDrift",
        {**requests(40), **feature("prediction", {"00": 27, "01": 13, "na": 0, "new": 0})},
        {**requests(40), **feature("length", {"00": 27, "01": 13, "na": 0, "new": 0})},  # 0.1 is little for an input
        95,
        "iris 1.0.0: answers are not as in the reference: prediction 0.13",
        VERSION,
    ),
    Case(
        "FairleadVectorDrift",
        {**requests(20), **vectors(20, 0.6)},
        {**requests(20), **vectors(20, 0.53)},  # 0.0072, which does not matter
        95,
        "iris 1.0.0: vectors are not as in the reference: embedding 0.080",
        VERSION,
    ),
    Case(
        "FairleadVectorDrift",
        {**requests(20), **vectors(20, 0.6)},
        {**requests(8), **vectors(2000, 0.6)},  # 2,000 vectors a minute of eight requests prove nothing
        95,
        "iris 1.0.0: vectors are not as in the reference: embedding 0.080",
        VERSION,
    ),
    Case(
        "FairleadMissingValues",
        {**requests(20), **feature("length", {"00": 9, "01": 9, "na": 2, "new": 0})},
        # 1.1 % of 600 rows where the reference has none of 1000: seven rows are chance.
        {**requests(10), **feature("length", {"00": 5, "01": 4.89, "na": 0.11, "new": 0})},
        95,
        "iris 1.0.0: values are missing more often than in the reference: length 10%",
        VERSION,
    ),
    Case(
        "FairleadMissingValues",
        {**requests(200), **feature("length", {"00": 94, "01": 94, "na": 12, "new": 0})},
        # Always 5 % are missing, also in the reference.
        {
            **requests(200),
            **feature("length", {"00": 94, "01": 94, "na": 12, "new": 0}, {"00": 475, "01": 475, "na": 50, "new": 0}),
        },
        95,
        "iris 1.0.0: values are missing more often than in the reference: length 6%",
        VERSION,
    ),
    Case(
        "FairleadNewCategories",
        {**requests(20), **feature("species", {"00": 9, "01": 9, "na": 0, "new": 2})},
        {**requests(20), **feature("species", {"00": 9, "01": 9, "na": 2, "new": 0})},
        95,
        "iris 1.0.0: categories are new more often than in the reference: species 10%",
        VERSION,
    ),
    Case(
        "FairleadNewCategories",
        {**requests(200), **feature("species", {"00": 94, "01": 94, "na": 0, "new": 12})},
        # As many are new where the reference has many rare values: that is natural.
        {
            **requests(200),
            **feature(
                "species", {"00": 148, "other": 40, "na": 0, "new": 12}, {"00": 800, "other": 200, "na": 0, "new": 0}
            ),
        },
        95,
        "iris 1.0.0: categories are new more often than in the reference: species 6%",
        VERSION,
    ),
    Case(
        "FairleadDriftNotMeasured",
        {**answers("2", rising(60)), **profile(), **counted(0)},
        {**answers("2", rising(60)), **profile(), **counted(60)},
        30,
        "iris 1.0.0: it has a profile and gets requests, and no row is counted",
        VERSION,
    ),
    Case(
        "FairleadDriftBinsMissing",
        {**reference("length", DECILES), **live("length", {"00": 10, "na": 0, "new": 0}), **requests(10)},
        {**feature("length", NULL), **requests(20)},
        30,
        "iris 1.0.0: counts and reference have other bins: length 1.00",
        VERSION,
    ),
    Case(
        "FairleadDriftBinsMissing",
        {**feature("length", {**NULL, "strange": 1}), **requests(20)},
        {**reference("length", DECILES), **live("length", dict.fromkeys(DECILES, 0))},  # no traffic yet
        30,
        "iris 1.0.0: counts and reference have other bins: length 1.00",
        VERSION,
    ),
    Case(
        "FairleadCandidateInputsDiffer",
        {**arms(SHIFTED), **inputs("InputsDiffer", 1)},
        # Users stick to a version, and few of them explain what requests show.
        {**arms(SHIFTED), **inputs("NotCompared", 0)},
        10,
        "iris: the candidate gets other inputs than stable: `fairlead status` says which",
        IRIS,
    ),
    Case(
        "FairleadCandidateInputsDiffer",
        {**arms(NULL), **inputs("InputsDiffer", 1)},
        {**arms(NULL), **inputs("InputsAlike", 0)},
        10,
        "iris: the candidate gets other inputs than stable: `fairlead status` says which",
        IRIS,
    ),
)
