"""JSON text of others is a value or a ValueError, however deeply it nests."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from fairlead.contracts import json_text

VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
)


@given(VALUES)
def test_a_value_is_read_as_python_reads_it(value: object) -> None:
    assert json_text.read(json.dumps(value)) == value


@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_text_that_nests_too_deeply_is_a_value_error_at_every_depth(start: str, end: str) -> None:
    levels = len(start.replace('"a":', ""))
    assert json_text.read(start * (100 // levels) + "1" + end * (100 // levels))
    for depth in (101, 500, 5_000, 100_000):
        with pytest.raises(ValueError, match="nested too deeply: more than 100 lists and objects"):
            json_text.read(start * depth + "1" + end * depth)


def test_the_objects_may_be_made_by_the_caller() -> None:
    assert json_text.read('{"a": 1, "a": 2}', pairs=lambda found: {"pairs": found}) == {"pairs": [("a", 1), ("a", 2)]}


def test_text_that_is_not_json_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        json_text.read("[1, ")
