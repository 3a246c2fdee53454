from __future__ import annotations

import enum
import math
import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.profile import TAIL, TOP
from fairlead.profile import bins

numbers = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60).map(np.array)
few = st.lists(st.sampled_from([0.0, 1.0, 2.5, -3.0, math.nan]), max_size=60).map(np.array)
columns = (numbers | few).map(lambda found: found.astype(np.float64))
texts = st.lists(st.none() | st.sampled_from("abc") | st.text(max_size=3), max_size=60)


class Colour(enum.Enum):
    RED = "red"


def edges_of(values: np.ndarray) -> tuple[float, ...]:
    return bins.number_edges(values) if np.isfinite(values).any() else (0.0, 1.0)


@given(columns, columns, columns)
def test_counts_of_two_parts_add_up_to_the_counts_of_both(
    reference: np.ndarray, one: np.ndarray, other: np.ndarray
) -> None:
    edges = edges_of(reference)
    both = bins.count_numbers(edges, np.concatenate([one, other]))
    assert (bins.count_numbers(edges, one) + bins.count_numbers(edges, other) == both).all()
    assert both.sum() == len(one) + len(other)


@given(columns, columns)
def test_a_number_is_counted_in_the_bin_whose_edges_enclose_it(reference: np.ndarray, values: np.ndarray) -> None:
    edges = edges_of(reference)
    known = values[np.isfinite(values)]
    expected = [(known < edges[0]).sum()]
    expected += [((known >= low) & (known < high)).sum() for low, high in zip(edges, edges[1:], strict=False)]
    expected += [(known >= edges[-1]).sum(), len(values) - len(known)]
    assert bins.count_numbers(edges, values).tolist() == expected


@given(columns)
def test_edges_ascend_and_no_bin_between_them_is_empty(reference: np.ndarray) -> None:
    edges = edges_of(reference)
    assert all(low < high for low, high in zip(edges, edges[1:], strict=False))
    assert len(edges) <= 11
    if np.isfinite(reference).any():
        assert (bins.count_numbers(edges, np.clip(reference, -1e300, 1e300))[1:-2] > 0).all()


def test_ten_bins_of_many_numbers_have_as_many_values_each_and_a_thousandth_is_outside() -> None:
    values = np.random.default_rng(0).normal(size=10_000)
    counts = bins.count_numbers(bins.number_edges(values), values)
    assert counts.tolist() == [9, 990, *[1000] * 8, 991, 10, 0]


def test_a_frequent_value_has_a_bin_of_its_own() -> None:
    values = np.concatenate([np.zeros(450), np.linspace(-5, -1, 250), np.linspace(1, 5, 300)])
    edges = bins.number_edges(values)
    counts = bins.count_numbers(edges, values)
    assert 450 in counts
    assert bins.count_numbers(edges, np.array([0.0])).argmax() == counts.tolist().index(450)
    assert bins.count_numbers(edges, np.array([1e-9])).argmax() == counts.tolist().index(450) + 1


def test_without_a_finite_number_there_are_no_edges() -> None:
    with pytest.raises(ValueError, match="no value is a finite number"):
        bins.number_edges(np.array([math.nan, math.inf]))


def test_a_probability_of_one_is_in_the_last_bin_and_not_above_it() -> None:
    counts = bins.count_numbers(bins.UNIT_EDGES, np.array([0.0, 1.0, 1.0000001, -1e-9]))
    assert [counts[1], counts[20], counts[21], counts[0]] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("given_values", "expected"),
    [
        ([1, None, 2.5], [1.0, math.nan, 2.5]),
        ([10**400, -(10**400), 3], [sys.float_info.max, -sys.float_info.max, 3.0]),
        ([True, False], [1.0, 0.0]),
        (["x", 1], [math.nan, 1.0]),
    ],
)
def test_values_become_floats_and_what_is_no_number_is_missing(given_values: list[Any], expected: list[float]) -> None:
    assert np.array_equal(bins.as_numbers(given_values), expected, equal_nan=True)


@given(texts, texts, texts)
def test_counts_of_categories_add_up_too(reference: list[Any], one: list[Any], other: list[Any]) -> None:
    feature = bins.category_feature("f", "f", reference)
    count = bins.CategoryCount(feature.values, feature.tail)
    both = count(Counter(one + other))
    assert (count(Counter(one)) + count(Counter(other)) == both).all()
    assert both.sum() == len(one) + len(other)
    assert feature.counts == tuple(count(Counter(reference)))


def test_values_have_bins_by_their_frequency_and_the_others_are_known_or_new() -> None:
    reference = ["b"] * 3 + ["a"] * 5 + [f"rare{number:03}" for number in range(200)] + [None]
    feature = bins.category_feature("f", "f", reference)
    assert feature.values[:2] == ("a", "b")
    assert (len(feature.values), len(feature.tail)) == (TOP, TAIL)
    assert feature.bins == (*(f"v{number:02}" for number in range(TOP)), "other", "new", "na")
    known = TOP - 2 + TAIL
    assert feature.counts[-3:] == (TAIL, 200 - known, 1)


def test_ten_thousand_unknown_values_are_one_bin() -> None:
    feature = bins.category_feature("f", "f", ["a", "b"])
    seen = Counter(f"unknown {number}" for number in range(10_000))
    assert bins.CategoryCount(feature.values, feature.tail)(seen).tolist() == [0, 0, 0, 10_000, 0]


def test_values_that_the_type_names_name_their_bins_also_those_that_did_not_occur() -> None:
    feature = bins.category_feature("f", "f", [Colour.RED, None], choices=[Colour.RED, "blue"])
    assert feature.bins == ("red", "blue", "other", "new", "na")
    assert feature.counts == (1, 0, 0, 0, 1)


@pytest.mark.parametrize("choices", [["new", "old"], ["a\nb", "c"], ["", "d"], ["x" * 41, "y"]])
def test_values_that_cannot_be_names_of_bins_have_numbers(choices: list[str]) -> None:
    assert bins.category_feature("f", "f", choices, choices=choices).bins[:2] == ("v00", "v01")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (7, "7"),
        (Colour.RED, "red"),
        (None, None),
        (math.nan, None),
        ("x" * 100, "x" * 64),
        ("\ud800", "?"),
    ],
)
def test_a_category_is_compared_as_text(value: Any, text: str | None) -> None:
    assert bins.text_of(value) == text
