from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.optimization.answers import LARGEST, Asked, Compared, Failed, compare, lower_bound

FLOATS = st.floats(-1e6, 1e6)
ANSWERS = st.fixed_dictionaries({"label": st.text(max_size=3), "scores": st.lists(FLOATS, min_size=3, max_size=3)})


def compared(*pairs: tuple[Any, Any], tolerance: float = 0.01) -> Compared:
    return compare([Asked(f"row {n}", {"x": n}, *pair) for n, pair in enumerate(pairs, 1)], tolerance)


@given(st.lists(ANSWERS, min_size=1, max_size=5), st.floats(0, 1))
def test_equal_answers_agree_whatever_is_tolerated(answers: list[Any], tolerance: float) -> None:
    found = compared(*((one, one) for one in answers), tolerance=tolerance)
    assert found.agreement == 1
    assert found.worst(3) == []


@given(st.lists(st.tuples(ANSWERS, ANSWERS), min_size=2, max_size=6), st.floats(0, 0.5), st.floats(0, 0.5))
def test_tolerating_more_never_lets_fewer_rows_agree(pairs: list[Any], one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert compared(*pairs, tolerance=low).agreement <= compared(*pairs, tolerance=high).agreement


@pytest.mark.parametrize(
    ("original", "candidate"),
    [("setosa", "virginica"), (1, 2), (True, False), (1, 1.0001), ("1", 1), (None, 0.5), (True, 1)],
)
def test_another_class_never_agrees(original: Any, candidate: Any) -> None:
    found = compared(({"label": original}, {"label": candidate}), ({"label": 2.5}, {"label": 2.5}), tolerance=1e-9)
    assert not found.differences[0].agrees


@pytest.mark.parametrize("other", [math.nan, math.inf, -math.inf, pytest.param(10**400, id="10**400")])
def test_what_is_no_number_of_a_range_agrees_with_no_number_and_with_itself(other: Any) -> None:
    found = compared(({"y": 1.5}, {"y": other}), ({"y": other}, {"y": 1.5}), ({"y": other}, {"y": other}))
    assert [one.agrees for one in found.differences] == [False, False, True]
    assert [one.spread for one in found.fields if one.spread is not None] == [1.5]


def test_an_integer_that_no_float_can_be_is_the_largest_of_a_list() -> None:
    found = compared(({"p": [1.5, 10**400]}, {"p": [1.5, 10**400]}), ({"p": [1.5, 10**400]}, {"p": [10**400, 1.5]}))
    assert [one.agrees for one in found.differences] == [True, False]


def test_numbers_that_are_all_nan_have_a_range_too() -> None:
    assert compared(({"y": math.nan}, {"y": 1.0})).agreement == 0


def test_a_number_may_differ_by_a_share_of_the_range_of_its_field() -> None:
    def differing(by: float) -> list[bool]:
        pairs = [({"price": 100.0}, {"price": 100.0 + by}), ({"price": 300.0}, {"price": 300.0})]
        return [one.agrees for one in compared(*pairs, tolerance=0.01).differences]

    assert differing(1.9) == [True, True]
    assert differing(2.1) == [False, True]


def test_numbers_that_never_change_may_differ_by_a_share_of_their_size() -> None:
    pairs = [({"price": 100.0}, {"price": 100.5})] * 2
    assert compared(*pairs, tolerance=0.01).agreement == 1
    assert compared(*pairs, tolerance=0.001).agreement == 0


def test_the_largest_probability_at_another_place_is_another_class_even_if_numbers_are_near() -> None:
    found = compared(({"p": [0.501, 0.499]}, {"p": [0.499, 0.501]}), ({"p": [1.0, 0.0]}, {"p": [1.0, 0.0]}))
    (worst,) = found.worst(3)
    assert worst.field == f"{LARGEST}p"
    assert found.agreement == 0.5


def test_the_largest_of_other_numbers_may_be_at_the_place_of_a_tie() -> None:
    found = compared(({"v": [5.001, 5.0, -5.0]}, {"v": [5.0, 5.001, -5.0]}))
    assert found.agreement == 1


def test_permuted_probabilities_differ() -> None:
    found = compared(({"p": [0.7, 0.2, 0.1]}, {"p": [0.2, 0.7, 0.1]}), ({"p": [0.1, 0.1, 0.8]}, {"p": [0.1, 0.1, 0.8]}))
    assert found.agreement == 0.5


def test_a_row_without_an_answer_differs_most_and_says_why() -> None:
    found = compared(({"y": 1.0}, {"y": 1.5}), ({"y": 2.0}, Failed("500: it failed")))
    assert [one.asked.name for one in found.worst(2)] == ["row 2", "row 1"]
    assert math.isinf(found.worst(1)[0].share)


def test_rows_that_the_original_does_not_answer_say_nothing() -> None:
    found = compared((Failed("422"), {"y": 1.0}), ({"y": 1.0}, {"y": 1.0}))
    assert found.agreement == 1
    assert found.unanswered == 1


def test_a_missing_field_and_a_list_of_another_length_differ() -> None:
    found = compared(
        ({"y": 1.0, "p": [0.5, 0.5]}, {"y": 1.0}), ({"v": [1.0, 2.0]}, {"v": [1.0]}), ({"v": []}, {"v": []})
    )
    assert [one.agrees for one in found.differences] == [False, False, True]


def test_of_labels_with_scores_the_first_label_is_the_class() -> None:
    was = {"top": [{"label": "cat", "score": 0.9}, {"label": "dog", "score": 0.01}]}
    others = {"top": [{"label": "cat", "score": 0.9}, {"label": "fox", "score": 0.01}]}
    first = {"top": [{"label": "dog", "score": 0.9}, {"label": "cat", "score": 0.01}]}
    assert compared((was, others), (was, was)).agreement == 1
    assert compared((was, first), (was, was)).agreement == 0.5


def test_each_field_has_its_own_numbers() -> None:
    found = compared(({"label": "a", "p": [0.9, 0.1]}, {"label": "b", "p": [0.8, 0.2]}))
    by_name = {one.name: one for one in found.fields}
    assert by_name["label"].agreeing == 0
    assert by_name["p[]"].largest == pytest.approx(0.1)
    assert by_name["p[]"].spread == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("agreeing", "rows", "bound"), [(8, 8, 0.05 ** (1 / 8)), (299, 299, 0.99003), (9, 10, 0.6058), (0, 5, 0)]
)
def test_few_rows_show_little(agreeing: int, rows: int, bound: float) -> None:
    assert lower_bound(agreeing, rows) == pytest.approx(bound, abs=1e-4)


def test_without_rows_there_is_no_agreement() -> None:
    assert math.isnan(compared().agreement)
    assert compared().sure == 0
