"""The checks of response bodies accept what they say, and nothing else."""

from __future__ import annotations

import json

import pytest

from support.load.checks import SameValues

ANSWER = b'{"label":"a","scores":{"a":1.0,"b":7.977622556495296e-20},"list":[1,2.5],"ok":true}'


def test_values_that_differ_only_by_rounding_are_the_same() -> None:
    assert SameValues(ANSWER)(0, ANSWER.replace(b"296e-20", b"409e-20"))


@pytest.mark.parametrize(
    ("part", "other"),
    [
        (b'"a","scores"', b'"b","scores"'),
        (b"7.977622", b"7.977623"),
        (b'"b":7', b'"c":7'),
        (b"[1,2.5]", b"[1]"),
        (b"[1,2.5]", b"[1.0,2.5]"),
        (b"true", b"1"),
    ],
)
def test_any_other_difference_is_one(part: bytes, other: bytes) -> None:
    changed = ANSWER.replace(part, other)

    assert json.loads(changed)
    assert changed != ANSWER
    assert not SameValues(ANSWER)(0, changed)


def test_a_body_that_is_no_json_is_another_one() -> None:
    assert not SameValues(ANSWER)(0, ANSWER[:-1])
