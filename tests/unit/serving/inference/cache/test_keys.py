from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from fairlead.serving.inference.cache.keys import Keys


class Inner(BaseModel):
    size: int | float = 0


class Row(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    value: Any = None
    inner: Inner | None = None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)
KEYS = Keys("m", "1", "ab")


def key(*values: Any) -> bytes | None:
    return KEYS.of([Row(value=value) for value in values])


@given(VALUES)
def test_equal_rows_have_equal_keys_whatever_objects_they_are_made_of(value: Any) -> None:
    assert key(value) == key(copy.deepcopy(value)) is not None


@given(st.lists(VALUES, min_size=1, max_size=3), st.lists(VALUES, min_size=1, max_size=3))
def test_rows_that_differ_have_different_keys(one: list[Any], other: list[Any]) -> None:
    is_same = repr(one) == repr(other)  # which tells 1 from 1.0 and True, -0.0 from 0.0, and has NaN
    assert (key(*one) == key(*other)) == is_same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        (0.0, -0.0),
        (None, float("nan")),
        ("1", b"1"),
        ([1, 2], (1, 2)),
        ([[1], [2]], [[1, 2]]),
        ({"a": 1}, [["a", 1]]),
        (np.zeros(2, np.int64), np.zeros(2)),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.zeros(2), [0.0, 0.0]),
        (np.zeros(1).tobytes(), np.zeros(1)),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))),
        (frozenset({1}), frozenset({1.0})),
        (Inner(size=1), Inner(size=1.0)),
        (Inner(), Inner(size=0)),
    ],
)
def test_values_that_a_model_can_tell_apart_have_different_keys(one: Any, other: Any) -> None:
    assert None not in (key(one), key(other))
    assert key(one) != key(other)
    assert key(one) == key(copy.deepcopy(one))


def test_two_requests_whose_rows_are_divided_differently_have_different_keys() -> None:
    assert len({key([1, 2]), key([1], [2]), key(1, 2), key(2, 1)}) == 4


def test_the_name_the_version_and_the_artifact_of_the_model_are_in_the_key() -> None:
    identities = [("a", "1", "x"), ("b", "1", "x"), ("a", "2", "x"), ("a", "1", "y"), ("a", "1x", "")]
    assert len({Keys(*identity).of([Row(value=1)]) for identity in identities}) == len(identities)


def test_two_types_of_the_same_name_have_different_keys() -> None:
    def made() -> type[BaseModel]:
        class Same(BaseModel):
            x: int = 1

        return Same

    assert key(made()()) != key(made()())


def test_a_value_of_an_unknown_type_has_no_key() -> None:
    assert key(object()) is None
    assert key([1, [object()]]) is None
    assert key(np.array([object()])) is None


def test_rows_with_their_key_need_none_made() -> None:
    rows = KEYS.keyed([Row(value=1)])
    rows[0].value = 2
    assert KEYS.of(rows) == key(1)
