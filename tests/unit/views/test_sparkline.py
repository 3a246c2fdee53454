"""A curve as SVG, and what it says to who does not see it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.views.sparkline import HEIGHT, WIDTH, amount, draw


def test_a_screen_reader_gets_the_newest_and_the_highest_number() -> None:
    found = ElementTree.fromstring(draw([0, 250, 12.4], "requests per second", 60))
    assert found.get("role") == "img"
    assert found.get("aria-label") == "12 requests per second now, at most 250 in the last 2 minutes"


@pytest.mark.parametrize("values", [[], [1.0]])
def test_one_number_is_no_curve(values: list[float]) -> None:
    assert draw(values, "requests per second", 5) == ""


@given(st.lists(st.floats(0, 1e9), min_size=2, max_size=60))
def test_every_point_is_inside_and_the_highest_is_at_the_top(values: list[float]) -> None:
    (line,) = ElementTree.fromstring(draw(values, "requests per second", 5))
    points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
    assert len(points) == len(values)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert points[values.index(max(values))][1] == min(y for _, y in points)


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (0.44, "0.4"), (9.96, "10.0"), (12.4, "12"), (1234, "1,234")])
def test_numbers_have_the_digits_that_tell_them(value: float, text: str) -> None:
    assert amount(value) == text
