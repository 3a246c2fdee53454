from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from fairlead.optimization import verdict
from fairlead.optimization.answers import Asked, Failed, compare
from fairlead.optimization.timing import Ratio, Times
from fairlead.optimization.verdict import Bounds, Result

SAME, FASTER, SLOWER = Ratio(1.0, 0.9, 1.1), Ratio(0.5, 0.4, 0.6), Ratio(2.0, 1.8, 2.2)


def measured(p50: Ratio, p95: Ratio = SAME) -> Times:
    return Times(100.0, 20, 0.01, 0.01, 0.02, 0.02, p50, p95)


def rules(found: Times, original: int, candidate: int, **bounds: Any) -> list[str]:
    return [one.rule for one in verdict.of_costs(found, original, candidate, Bounds(**bounds))]


def asked(agreeing: int, differing: int) -> list[Asked]:
    good = [Asked(f"row {n}", {"x": n}, {"y": "a"}, {"y": "a"}) for n in range(agreeing)]
    return good + [Asked(f"bad {n}", {"x": -n}, {"y": "a"}, {"y": "b"}) for n in range(1, differing + 1)]


def test_answers_below_the_bound_are_refused_with_a_row_and_both_answers() -> None:
    (reason,) = verdict.of_answers(compare(asked(97, 3), 0.01), Bounds(agreement=0.98))
    assert reason.rule == "agreement"
    assert "97 of 100 rows agree (0.97; wanted 0.98): " in reason.message
    assert 'bad 1 {"x": -1}: answered {"y": "a"}, and now {"y": "b"} (y differs)' in reason.message


def test_answers_at_the_bound_are_accepted() -> None:
    assert verdict.of_answers(compare(asked(98, 2), 0.01), Bounds(agreement=0.98)) == []


def test_nothing_is_accepted_if_the_original_answers_nothing() -> None:
    found = compare([Asked("row 1", {}, Failed("422"), Failed("422"))], 0.01)
    assert [one.rule for one in verdict.of_answers(found, Bounds(agreement=0))] == ["rows"]


def test_a_row_without_an_answer_says_why() -> None:
    found = compare([Asked("row 1", {"x": 1}, {"y": 1.0}, Failed("500: it failed"))], 0.01)
    (reason,) = verdict.of_answers(found, Bounds())
    assert "and now not at all: 500: it failed" in reason.message


@pytest.mark.parametrize(("p50", "p95"), [(SLOWER, SAME), (SAME, SLOWER), (FASTER, SLOWER)])
def test_a_slower_version_is_refused_even_if_it_is_smaller(p50: Ratio, p95: Ratio) -> None:
    assert rules(measured(p50, p95), 100, 10) == ["slower"]
    assert rules(measured(p50, p95), 100, 10, max_slower=3.0) == []


@pytest.mark.parametrize(
    ("p50", "size", "refused"), [(SAME, 99, []), (SAME, 100, ["gain"]), (SAME, 101, ["gain"]), (FASTER, 200, [])]
)
def test_a_version_must_be_smaller_or_shown_to_be_faster(p50: Ratio, size: int, refused: list[str]) -> None:
    assert rules(measured(p50), 100, size) == refused
    assert rules(measured(p50), 100, size, needs_gain=False) == []


def test_long_rows_are_told_shortly() -> None:
    row = {"pixels": [0.123456789] * 1000, "text": "x" * 1000}
    assert (
        verdict.shortened(row) == '{"pixels": [0.12346, 0.12346, 0.12346, 0.12346, ...], "text": "' + "x" * 40 + '..."}'
    )
    assert len(verdict.shortened({f"field {n}": n for n in range(1000)})) <= 160


def test_a_number_of_its_own_is_told_with_all_digits() -> None:
    assert verdict.shortened({"moment": 1700000123.4567}) == '{"moment": 1700000123.4567}'


def test_the_document_is_json_without_infinity() -> None:
    compared = compare([*asked(1, 0), Asked("row 9", {"x": 1}, {"y": "a"}, Failed("500"))], 0.01)
    reasons = verdict.of_answers(compared, Bounds())
    times = replace(measured(SAME), p50=Ratio(1.0, 0.0, math.inf))
    document = Result("iris", "1", "2", ["onnx"], 10, 5, Bounds(), compared, None, times, reasons).to_json()
    read = json.loads(json.dumps(document, allow_nan=False))
    assert read["accepted"] is False
    assert read["agreement"]["differ_most"][0]["candidate"] == {"error": "500"}
    assert read["times"]["p50"]["high"] is None


def test_the_document_has_null_for_an_answer_that_is_not_a_number() -> None:
    found = verdict.agreement_json(compare([Asked("row 1", {"x": 1}, {"y": [1.5]}, {"y": [math.nan]})], 0.01))
    read = json.loads(json.dumps(found, allow_nan=False))
    assert read["differ_most"][0]["candidate"] == {"y": [None]}
    assert read["fields"][0]["largest"] is None
