"""What is a tree, and what is an array of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.serving.formats import trees

nodes = st.integers(1, 9).flatmap(
    lambda size: st.tuples(*[st.lists(st.integers(-2, size), min_size=size, max_size=size)] * 2)
)


def reached(left: list[int], right: list[int]) -> set[int]:
    """Every node that a walk from the root finds; a walk that is too long raises."""
    found, waiting = set(), [0]
    while waiting:
        node = waiting.pop()
        if node in found or not 0 <= node < len(left):
            raise ValueError
        found.add(node)
        if (left[node], right[node]) != (-1, -1):
            waiting += [left[node], right[node]]
    return found


@given(nodes)
def test_what_passes_is_a_tree_and_the_nodes_are_those_that_a_walk_reaches(given: tuple[list[int], list[int]]) -> None:
    left, right = given
    try:
        found = trees.check(np.array(left), np.array(right))
    except trees.Broken:
        return
    assert set(found.tolist()) == reached(left, right)


def test_leaves_that_pruning_left_behind_are_no_nodes_of_the_tree() -> None:
    assert trees.check(np.array([3, -1, -1, -1, -1]), np.array([4, -1, -1, -1, -1])).tolist() == [0, 3, 4]


def test_a_ring_beside_the_tree_is_refused() -> None:
    with pytest.raises(trees.Broken, match="splits that no row reaches"):
        trees.check(np.array([-1, 2, 1, -1, -1]), np.array([-1, 3, 4, -1, -1]))


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        *(([1, "x"], "int32"), ([[1]], "int32"), ([1.5], "int32"), ([2**40], "int32"), ([2**70], "int64")),
        *(([float("nan")], "float32"), ([1e39], "float32"), ([None], "float64"), ("12", "int32"), (5, "int8")),
    ],
)
def test_values_that_the_type_does_not_have_are_refused(values: Any, dtype: str) -> None:
    with pytest.raises(trees.Broken):
        trees.numbers(values, dtype, "numbers")


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_numbers_of_32_bits_are_unchanged(values: list[float]) -> None:
    assert trees.numbers(values, "float32", "numbers").tolist() == values
