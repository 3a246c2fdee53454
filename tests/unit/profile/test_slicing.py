"""The rows of a slice are counted as they would be alone."""

from __future__ import annotations

import math
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.slices import Condition, declared
from fairlead.profile import bins, pictures
from fairlead.profile.counting import RowCount
from fairlead.profile.slicing import SlicedCount

AGE = bins.number_feature("age", "age", (0.0, 10.0, 20.0), np.array([5.0, 15.0]))
CITY = bins.category_feature("city", "city", ["Ulm", "Bonn", "Ulm"])
SCORE = bins.number_feature("prediction", "score", (0.0, 1.0), np.array([0.5]))
SLICES = [declared(text) for text in ("old: age=10..", "mid: age=5..15", "south: city=Ulm,x", "adult: adult=true")]
COUNT = SlicedCount([AGE, CITY], [SCORE], SLICES)

rows = st.lists(
    st.fixed_dictionaries(
        {
            "age": st.none() | st.floats() | st.integers(),
            "city": st.none() | st.sampled_from(["Ulm", "Bonn", "x"]),
            "adult": st.none() | st.booleans(),
            "score": st.floats(-1, 2),
        }
    ),
    max_size=20,
)


def is_in(row: dict[str, Any], one: Condition) -> bool:
    """As the condition reads, for a single row."""
    value = row[one.field]
    if value is None:
        return False
    if one.is_range:
        start, end = -math.inf if one.start is None else one.start, math.inf if one.end is None else one.end
        return bool(start <= value < end)
    return (str(value).lower() if isinstance(value, bool) else value) in one.values


@given(rows)
def test_the_counts_of_a_slice_are_those_of_its_rows_alone(found: list[dict[str, Any]]) -> None:
    finite = [row for row in found if row["age"] is None or abs(row["age"]) < 1e300 or not math.isfinite(row["age"])]
    whole, *counted = np.split(COUNT(finite, finite, COUNT.members(finite)), 1 + len(SLICES))

    def alone(mine: list[dict[str, Any]]) -> list[int]:
        return [*RowCount([AGE, CITY])(mine).tolist(), *RowCount([SCORE])(mine).tolist()]

    assert whole.tolist() == alone(finite)
    for one, counts in zip(SLICES, counted, strict=True):
        assert counts.tolist() == alone([row for row in finite if is_in(row, one)])


@given(rows, rows)
def test_counts_of_two_instances_add_up(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    def count(found: list[dict[str, Any]]) -> Any:
        return COUNT(found, found, COUNT.members(found))

    assert (count(one) + count(other) == count(one + other)).all()


def test_an_image_is_looked_at_once_for_all_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Mock(return_value=(0.5, 0.1, 0.1))
    monkeypatch.setattr(pictures, "_seen", seen)
    light = bins.number_feature("photo.brightness", "photo", (0.0, 0.4, 1.0), np.array([0.5]), of="brightness")
    count = SlicedCount([light], [], SLICES[:3])
    found: list[dict[str, Any]] = [
        {"photo": np.zeros((4, 4, 3), np.uint8), "age": age, "city": "Ulm"} for age in (4, 12, 20)
    ]
    counted = count(found, [{}] * 3, count.members(found))
    assert [one.tolist() for one in np.split(counted, 4)] == [[0, 0, many, 0, 0] for many in (3, 2, 1, 3)]
    assert seen.call_count == 3
