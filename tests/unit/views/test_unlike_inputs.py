"""What is said when a candidate gets other rows than stable."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts import drift_limits as limits
from fairlead.profile.counted import Counted, read
from fairlead.views.unlike_inputs import CAUSES, unlike_inputs
from support.drift_texts import a_text
from support.profiles import of_points

FAIR = {"x": [0, 500, 500, 0, 0], "kind": [900, 100, 0, 0, 0]}


def counted(requests: int | None = None, **live: list[int]) -> Counted:
    return read(a_text(of_points(), {**FAIR, **live}, requests))


def told(candidate: Counted, stable: Counted | None = None) -> str | None:
    return unlike_inputs("1.0.0", "1.1.0", stable or counted(), candidate)


def test_rows_that_are_alike_are_alike() -> None:
    assert told(counted(x=[0, 510, 490, 0, 0])) == ""


def test_an_input_that_differs_is_named_with_by_how_much_and_what_to_look_at() -> None:
    said = told(counted(x=[0, 900, 100, 0, 0]))
    assert said is not None
    assert said.startswith("1.1.0 gets other rows than 1.0.0: x differs (PSI 0.87, chance explains 0.037; ")
    assert "0 to 5: 50 % at 1.0.0, 90 % at 1.1.0" in said
    assert said.endswith(CAUSES)


def test_the_input_that_differs_most_is_named_and_the_others_are_counted() -> None:
    said = told(counted(x=[0, 999, 1, 0, 0], kind=[600, 400, 0, 0, 0]))
    assert said is not None
    assert ": x differs, and so does one more input (" in said


def test_answers_that_differ_are_what_a_new_version_changes() -> None:
    assert told(counted(prediction=[0, 1000, 0, 0, 0])) == ""


@pytest.mark.parametrize("few", [limits.LEAST_ROWS, 0])
def test_few_rows_say_nothing(few: int) -> None:
    assert told(counted(few, x=[0, 900, 100, 0, 0])) is None
    assert told(counted(), counted(few, x=[0, 900, 100, 0, 0])) is None


def test_versions_with_other_bins_or_no_profile_are_not_compared() -> None:
    moved = counted(x=[0, 900, 100, 0, 0])
    assert told(replace(moved, edges="others")) is None
    assert told(moved, Counted()) is None
    assert told(Counted(), Counted()) is None


@given(st.integers(0, 2**32 - 1))
def test_a_random_split_of_the_same_rows_is_alike(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = random.multinomial(3000, [0.02, 0.5, 0.4, 0.05, 0.03])
    mine = random.binomial(rows, 0.3)
    assert told(counted(x=mine.tolist()), counted(x=(rows - mine).tolist())) == ""
