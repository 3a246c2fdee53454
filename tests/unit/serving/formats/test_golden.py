from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.contracts.golden import compare
from fairlead.serving.formats import golden
from fairlead.serving.formats.golden import GoldenRow

FINITE = st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | st.integers() | FINITE | st.text(max_size=5)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
OBJECTS = st.dictionaries(st.text(max_size=3), JSON, max_size=3)


@given(JSON, st.sampled_from([0.0, 1e-5, 0.1]))
def test_everything_equals_a_copy_of_itself(value: Any, rtol: float) -> None:
    assert compare(value, copy.deepcopy(value), rtol) is None


@given(JSON)
def test_a_value_is_equal_after_a_json_round_trip(value: Any) -> None:
    assert compare(value, json.loads(json.dumps(value)), 0.0) is None


@given(JSON, JSON)
def test_without_tolerance_only_equal_json_is_equal(one: Any, other: Any) -> None:
    same_text = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    if compare(one, other, 0.0) is None:
        assert one == other
    if same_text:
        assert compare(one, other, 0.0) is None


@given(FINITE.filter(lambda x: 1e-3 < abs(x) < 1e300), st.floats(-0.9e-5, 0.9e-5))
def test_floats_within_rtol_are_equal(value: float, relative: float) -> None:
    assert compare(value, value * (1 + relative), 1e-5) is None


@pytest.mark.parametrize(
    ("expected", "actual", "sentence"),
    [
        ({"label": "setosa"}, {"label": "virginica"}, "label: expected 'setosa', got 'virginica'"),
        ({"a": {"b": [1.0, 2.0]}}, {"a": {"b": [1.0, 2.5]}}, "a.b[1]: expected 2.0, got 2.5, which differs by 0.5"),
        ({"a": [1]}, {"a": [1, 2]}, "a: expected 1 items, got 2"),
        ({"a": 1}, {}, "answer: field 'a' is missing"),
        ({"a": {}}, {"a": {"b": 1}}, "a: field 'b' is not expected"),
        (1, 2, "answer: expected 1, got 2"),
        (True, 1, "answer: expected True, got 1"),
        ("1", 1, "answer: expected '1', got 1"),
        (None, 0.0, "answer: expected None, got 0.0"),
        (1.0, float("nan"), "answer: expected 1.0, got nan"),
        ([1], {"a": 1}, "answer: expected [1], got {'a': 1}"),
    ],
)
def test_a_difference_is_reported_with_its_path(expected: Any, actual: Any, sentence: str) -> None:
    assert (compare(expected, actual, 1e-5) or "").startswith(sentence)


def test_a_whole_number_may_come_back_as_a_float() -> None:
    assert compare({"x": 1}, {"x": 1.0}, 0.0) is None


def test_small_differences_of_tiny_probabilities_are_ignored() -> None:
    assert compare(1.1e-12, 1.2e-12, 1e-5) is None


def test_an_integer_too_large_for_a_float_differs_from_a_float() -> None:
    assert compare(10**400, 1.0, 1e-5) is not None
    assert compare(1.0, -(10**400), 1e-5) is not None


def test_nan_equals_nan_and_infinity_equals_only_itself() -> None:
    assert compare(float("nan"), float("nan"), 1e-5) is None
    assert compare(float("inf"), float("-inf"), 1e-5) is not None


@given(st.lists(st.builds(GoldenRow, input=OBJECTS, expected=OBJECTS), max_size=4))
def test_written_rows_are_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[GoldenRow]) -> None:
    path = tmp_path_factory.mktemp("golden") / "golden.jsonl"
    golden.write(path, rows)
    assert golden.read(path) == tuple(rows)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "not JSON"),
        ("[]", 'exactly the fields "input" and "expected"'),
        ('{"input": {}}', 'exactly the fields "input" and "expected"'),
        ('{"input": [], "expected": {}}', '"input" must be an object'),
    ],
)
def test_a_wrong_line_is_reported_with_its_number(tmp_path: Path, line: str, problem: str) -> None:
    path = tmp_path / "golden.jsonl"
    path.write_text('{"input": {}, "expected": {}}\n\n' + line + "\n")
    with pytest.raises(errors.Invalid, match=r"golden\.jsonl:3: ") as caught:
        golden.read(path)
    assert problem in caught.value.message


def test_golden_rows_that_cannot_be_read_are_invalid(tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match="the golden rows cannot be read: Is a directory"):
        golden.read(tmp_path)
    (tmp_path / "golden.jsonl").write_bytes(b"\xff")
    with pytest.raises(errors.Invalid, match=r"golden\.jsonl: the golden rows cannot be read: it is not UTF-8 text"):
        golden.read(tmp_path / "golden.jsonl")


@pytest.mark.parametrize("depth", [500, 20_000])
def test_a_golden_row_that_is_nested_too_deeply_is_refused_with_its_line(tmp_path: Path, depth: int) -> None:
    (tmp_path / "golden.jsonl").write_text(f'{{"input": {{"a": {"[" * depth}{"]" * depth}}}, "expected": {{}}}}\n')
    with pytest.raises(errors.Invalid, match=r"^golden\.jsonl:1: not JSON: it is nested too deeply"):
        golden.read(tmp_path / "golden.jsonl")
