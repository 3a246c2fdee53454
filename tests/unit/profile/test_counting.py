from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.profile import Feature
from fairlead.profile import bins
from fairlead.profile.counting import RowCount, is_read_like
from fairlead.profile.texts import lengths, shapes

AGE = bins.number_feature("age", "age", (0.0, 10.0, 20.0), np.array([5.0, 15.0]))
CITY = bins.category_feature("city", "city", ["Ulm", "Bonn", "Ulm"])
FIRST = bins.number_feature("x[0]", "x", (0.0, 1.0), np.array([0.5]), place=0)
SECOND = bins.number_feature("x[1]", "x", (0.0, 1.0), np.array([0.5]), place=1)
TEXT = bins.number_feature("city.length", "city", (3.0, 5.0), np.array([3.0]), of="length")
DIGITS = bins.number_feature("city.digits", "city", (0.0, 0.5), np.array([0.1]), of="digits")
EVERY: list[Feature] = [AGE, CITY, FIRST, SECOND, TEXT, DIGITS]

rows = st.lists(
    st.fixed_dictionaries(
        {
            "age": st.none() | st.floats() | st.integers(),
            "city": st.none() | st.text(max_size=4) | st.sampled_from(["Ulm", "Bonn"]),
            "x": st.lists(st.floats(-2, 2), min_size=2, max_size=2),
        }
    ),
    max_size=20,
)


@given(rows)
def test_all_features_are_counted_as_each_would_be_alone(found: list[dict[str, Any]]) -> None:
    city = [row["city"] for row in found]
    expected = [
        *bins.count_numbers(AGE.edges, bins.as_numbers([row["age"] for row in found])),
        *bins.CategoryCount(CITY.values, CITY.tail)({text: city.count(text) for text in city}),
        *bins.count_numbers(FIRST.edges, bins.as_numbers([row["x"][0] for row in found])),
        *bins.count_numbers(SECOND.edges, bins.as_numbers([row["x"][1] for row in found])),
        *bins.count_numbers(TEXT.edges, lengths(city)),
        *bins.count_numbers(DIGITS.edges, shapes(city)[:, 1]),
    ]
    assert RowCount(EVERY)(found).tolist() == expected


@given(rows, rows)
def test_counts_of_two_instances_add_up(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    count = RowCount(EVERY)
    assert (count(one) + count(other) == count(one + other)).all()


def test_a_name_with_a_dot_is_one_field() -> None:
    dotted = bins.number_feature("a.b", "a.b", (0.0, 1.0), np.array([0.5]))
    assert RowCount([dotted])([{"a.b": 0.5}, {"a.b": None}]).tolist() == [0, 1, 0, 1]


def test_numbers_beyond_all_floats_are_above_the_range_and_not_missing() -> None:
    counted = RowCount([AGE])([{"age": 10**400}, {"age": -(10**400)}, {"age": math.inf}, {"age": math.nan}])
    assert dict(zip(AGE.bins, counted.tolist(), strict=True)) == {"lo": 1, "00": 0, "01": 0, "hi": 1, "na": 2}


def test_without_features_nothing_is_counted() -> None:
    assert RowCount([])([{"age": 1}]).tolist() == []


def test_only_features_of_the_same_values_can_take_the_bins_of_the_other() -> None:
    assert is_read_like(AGE, AGE.model_copy(update={"edges": (1.0, 2.0)}))
    assert not is_read_like(FIRST, SECOND)
    assert not is_read_like(CITY, TEXT.model_copy(update={"name": "city"}))


def test_the_looks_of_other_pixels_have_other_bins() -> None:
    small, large = (
        bins.number_feature("photo.sharpness", "photo", (0.0, 1.0), np.array([0.5]), of="sharpness", pixels=pixels)
        for pixels in ("224x224x3 crop bilinear", "384x384x3 crop bilinear")
    )
    assert not is_read_like(small, large)
    assert small.edges_text != large.edges_text
