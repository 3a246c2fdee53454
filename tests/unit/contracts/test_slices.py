"""Which texts declare a slice, and what it says of itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.contracts.slices import Condition, declared


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("old: built=..1950", Condition(name="old", field="built", values=(), end=1950.0)),
        ("large:area=100..", Condition(name="large", field="area", values=(), start=100.0)),
        ("mid: area=-0.5..1.5", Condition(name="mid", field="area", values=(), start=-0.5, end=1.5)),
        ("south: city=Ulm, Bonn,Ulm", Condition(name="south", field="city", values=("Ulm", "Bonn"))),
        ("odd: note=a..b", Condition(name="odd", field="note", values=("a..b",))),
        ("none: note=", Condition(name="none", field="note", values=("",))),
        ("x: a.b=c=d", Condition(name="x", field="a.b", values=("c=d",))),
    ],
)
def test_a_text_declares_a_slice_and_its_condition_reads_back_the_same(text: str, expected: Condition) -> None:
    found = declared(text)
    assert found == expected
    assert declared(f"{found.name}: {found.text}") == expected


@given(start=st.floats(allow_nan=False, allow_infinity=False), end=st.none() | st.just(1.7976931348623157e308))
def test_the_text_of_a_range_has_all_digits_of_its_numbers(start: float, end: float | None) -> None:
    found = Condition(name="s", field="x", values=(), start=start, end=end if end != start else None)
    assert declared(f"s: {found.text}") == found


def test_a_range_of_times_is_written_as_people_write_it() -> None:
    assert declared("new: seen=1700000001..1700000002").text == "seen=1700000001..1700000002"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("city=Ulm", "declares no slice"),
        ("south", "declares no slice"),
        ("two words: city=Ulm", "String should match pattern"),
        ("wrong: area=9..1", "the range of a slice must ascend"),
        ("much: area=..inf", "Input should be a finite number"),
        ("many: city=" + ",".join(map(str, range(21))), "at most 20 items"),
    ],
)
def test_any_other_text_is_refused_with_the_shape_of_one(text: str, why: str) -> None:
    with pytest.raises(errors.Invalid, match=why) as refused:
        declared(text)
    assert refused.value.hint == (
        "Write `NAME: FIELD=VALUE,VALUE`, or for a number `NAME: FIELD=FROM..TO`, where FROM or TO may be left out."
    )
