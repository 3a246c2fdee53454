"""Declarations of the metrics at /metrics/drift of a model service: drift and quality."""

from __future__ import annotations

from fairlead.contracts.telemetry import MODEL_IDENTITY, Declared, Metric

_model = Declared("model service", "fairlead_model_", MODEL_IDENTITY)

# Drift, at /metrics/drift: counts of rows on the bins of the reference profile. Every statistic is computed from sums
# over all instances, never here. All bins of a feature are there from the start: a missing one would vanish from sums.
# `slice` is empty for all rows, and the name of a slice of the profile for the rows in it.
MODEL_DRIFT_VALUES = _model(
    "drift_values_total",
    "counter",
    "rows",
    "Counted rows by feature and bin of the reference",
    "feature",
    "bin",
    "slice",
)
MODEL_DRIFT_ROWS = _model("drift_rows_total", "counter", "rows", "Rows that were counted in the bins")
MODEL_DRIFT_REQUESTS = _model(
    "drift_requests_total", "counter", "requests", "Requests whose rows were counted", "slice"
)
MODEL_DRIFT_SKIPPED = _model(
    "drift_skipped_rows_total", "counter", "rows", "Answered rows that were not counted: the sample was full"
)
MODEL_DRIFT_FAILED = _model(
    "drift_failed_rows_total", "counter", "rows", "Answered rows that could not be counted: the service's log says why"
)
MODEL_DRIFT_REFERENCE_VALUES = _model(
    "drift_reference_values", "gauge", "rows", "Rows of the reference by feature and bin", "feature", "bin", "slice"
)
MODEL_DRIFT_REFERENCE_ROWS = _model(
    "drift_reference_rows", "gauge", "rows", "Rows of the reference", "feature", "slice"
)
MODEL_DRIFT_CRITICAL = _model(
    "drift_critical",
    "gauge",
    "chi-squared",
    "Chi-squared with one degree of freedom less than the feature has bins: 0.1 % of samples without drift exceed it",
    "feature",
)
MODEL_DRIFT_BIN_START = _model(
    "drift_bin_start",
    "gauge",
    "as the feature",
    "The number from which on values are in a bin of a number, up to the start of the next one",
    "feature",
    "bin",
)
MODEL_PROFILE_INFO = _model(
    "profile_info",
    "gauge",
    "1",
    "1; profile is the digest of the reference profile, edges that of its bins, source what its rows are",
    "profile",
    "edges",
    kind=("given", "none"),
    source=("data", "recording", "none"),
)

DRIFT_PATH = "/metrics/drift"
"""They are on a path of their own: a profile of many features has thousands of series, and a minute is soon enough."""
MODEL_DRIFT: tuple[Metric, ...] = (
    MODEL_PROFILE_INFO,
    MODEL_DRIFT_ROWS,
    MODEL_DRIFT_REQUESTS,
    MODEL_DRIFT_SKIPPED,
    MODEL_DRIFT_FAILED,
    MODEL_DRIFT_VALUES,
    MODEL_DRIFT_REFERENCE_VALUES,
    MODEL_DRIFT_REFERENCE_ROWS,
    MODEL_DRIFT_CRITICAL,
    MODEL_DRIFT_BIN_START,
)
"""All metric families of `/metrics/drift`. Without a profile there is only the first."""

# Drift of vectors, at the same path where the profile has some.
MODEL_DRIFT_DIRECTIONS = _model(
    "drift_directions_total",
    "counter",
    "waves",
    "Sum of the waves, each from 0 to 1, that counted vectors are in a random direction",
    "feature",
    "direction",
)
MODEL_DRIFT_VECTORS = _model("drift_vectors_total", "counter", "rows", "Rows whose vector was counted", "feature")
MODEL_DRIFT_REFERENCE_DIRECTIONS = _model(
    "drift_reference_directions",
    "gauge",
    "waves",
    "Mean wave of the reference in each direction",
    "feature",
    "direction",
)
MODEL_DRIFT_REFERENCE_VECTORS = _model(
    "drift_reference_vectors", "gauge", "rows", "Rows of the reference with a vector", "feature"
)
MODEL_DRIFT_VECTOR_CRITICAL = _model(
    "drift_vector_critical",
    "gauge",
    "rows",
    "0.1 % of samples of n and m vectors without drift have a squared MMD above this times 1/n + 1/m",
    "feature",
)
MODEL_VECTORS: tuple[Metric, ...] = (
    MODEL_DRIFT_DIRECTIONS,
    MODEL_DRIFT_VECTORS,
    MODEL_DRIFT_REFERENCE_DIRECTIONS,
    MODEL_DRIFT_REFERENCE_VECTORS,
    MODEL_DRIFT_VECTOR_CRITICAL,
)
"""All metric families of a profile's vectors."""

# Quality without labels, at the same path where the profile has that of held-out rows. The series are as those of
# feedback.
MODEL_REFERENCE_OUTCOMES = _model(
    "reference_outcomes",
    "gauge",
    "rows",
    "Held-out rows by the class that was predicted and the true one",
    "predicted",
    "truth",
    correct=("true", "false"),
)
MODEL_REFERENCE_NUMBERS = _model("reference_numbers", "gauge", "rows", "Held-out rows whose answers are numbers")
MODEL_REFERENCE_ABSOLUTE_ERRORS = _model(
    "reference_absolute_errors",
    "gauge",
    "as the answers",
    "Sum of the absolute differences between numbers that were predicted and true ones, of held-out rows",
)
MODEL_REFERENCE_SQUARED_ERRORS = _model(
    "reference_squared_errors", "gauge", "squares of the answers", "Sum of the squares of these differences"
)
MODEL_ESTIMATED_OUTCOMES = _model(
    "estimated_outcomes_total",
    "counter",
    "rows",
    "Estimated without labels: expected rows by the class that was predicted and the true one, if the model is as sure "
    "of its answers as it was on held-out rows",
    "predicted",
    "truth",
    correct=("true", "false"),
)
MODEL_QUALITY: tuple[Metric, ...] = (
    MODEL_REFERENCE_OUTCOMES,
    MODEL_REFERENCE_NUMBERS,
    MODEL_REFERENCE_ABSOLUTE_ERRORS,
    MODEL_REFERENCE_SQUARED_ERRORS,
    MODEL_ESTIMATED_OUTCOMES,
)
"""All metric families of a profile's quality: outcomes for classes, the other three for numbers. Outcomes are estimated
where answers say how sure they are."""

# Quality, at the same path where feedback is on: predictions that clients have sent the truth of. All series are there
# from the start. `other` are the classes without a place of their own.
MODEL_FEEDBACK_LABELS = _model(
    "feedback_labels_total",
    "counter",
    "labels",
    "Labels that clients sent, by what became of them",
    outcome=("counted", "late", "double", "unknown", "bad"),
)
MODEL_FEEDBACK_LAG = _model(
    "feedback_lag_seconds",
    "histogram",
    "seconds",
    "From an answer to its label, of counted labels that say when the answer was given",
    buckets=(60.0, 600.0, 3600.0, 21600.0, 86400.0, 604800.0, 2592000.0),
)
MODEL_FEEDBACK_OUTCOMES = _model(
    "feedback_outcomes_total",
    "counter",
    "labels",
    "Counted labels by the class that was predicted and the true one",
    "predicted",
    "truth",
    correct=("true", "false"),
)
MODEL_FEEDBACK_NUMBERS = _model("feedback_numbers_total", "counter", "labels", "Counted labels that are numbers")
MODEL_FEEDBACK_ABSOLUTE_ERRORS = _model(
    "feedback_absolute_errors_total",
    "counter",
    "as the answers",
    "Sum of the absolute differences between numbers that were predicted and true ones",
)
MODEL_FEEDBACK_SQUARED_ERRORS = _model(
    "feedback_squared_errors_total",
    "counter",
    "squares of the answers",
    "Sum of the squares of these differences",
)
MODEL_FEEDBACK: tuple[Metric, ...] = (
    MODEL_FEEDBACK_LABELS,
    MODEL_FEEDBACK_LAG,
    MODEL_FEEDBACK_OUTCOMES,
    MODEL_FEEDBACK_NUMBERS,
    MODEL_FEEDBACK_ABSOLUTE_ERRORS,
    MODEL_FEEDBACK_SQUARED_ERRORS,
)
"""All metric families of feedback. A model whose answers are classes has no numbers, and the other way round."""
