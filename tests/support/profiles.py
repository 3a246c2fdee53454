"""Reference profiles for the small models of tests, and what a service says of its drift."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from fairlead.contracts.profile import Profile
from fairlead.profile import bins

X_EDGES, TOTAL_EDGES = (0.0, 5.0, 10.0), (0.0, 10.0, 20.0)


def of_points(**changes: object) -> Profile:
    """A profile of `small_models.Adder`: ten points, whose x is 0 to 9 and whose kind is a."""
    x, total = np.arange(10.0), np.arange(10.0) + 1
    found = Profile(
        model="adder",
        version="1.2.0",
        rows=10,
        features=(
            bins.number_feature("x", "x", X_EDGES, x),
            bins.category_feature("kind", "kind", ["a"] * 10, choices=["a", "b"]),
        ),
        answers=(bins.number_feature("prediction", "score", TOTAL_EDGES, total),),
    )
    return found.model_copy(update=dict(changes))


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """The value of each series, by the name of the metric without `fairlead_model_` and the labels after the version.

    Series of all rows are without their empty label `slice`.
    """
    return {
        (sample.name.removeprefix("fairlead_model_"), _labels(sample.labels)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _labels(labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(value for name, value in list(labels.items())[2:] if name != "slice" or value)


def values(text: str, feature: str, *of_slice: str) -> Mapping[str, int]:
    """How many rows each bin of a feature has, of all rows or of a slice."""
    return {
        labels[1]: int(value)
        for (name, labels), value in samples(text).items()
        if name == "drift_values_total" and (labels[0], *labels[2:]) == (feature, *of_slice)
    }
