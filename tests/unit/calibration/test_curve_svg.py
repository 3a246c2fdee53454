from __future__ import annotations

import math
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from docs import calibrate_picture
from fairlead.calibration import curve_svg, knee
from fairlead.calibration.advice import Curve
from fairlead.calibration.points import Point
from fairlead.calibration.result import Result
from fairlead.contracts.manifest import Batching
from unit.calibration.simulated import point


def result(*curves: Curve, model: str = "iris") -> Result:
    """A result with these curves."""
    return Result(model, "1.0.0", 1, 1, 1, 2, curves)


def curve(points: list[Point], goal_s: float = 0.1, max_rows: int = 64) -> Curve:
    """A curve of these points."""
    return Curve(Batching(max_rows=max_rows), "invariant", 0.01, goal_s, points, knee.find(points, goal_s))


latencies = st.floats(1e-4, 100) | st.just(math.inf)
some_points = st.lists(st.builds(point, st.floats(0.01, 1e5), latencies), max_size=8, unique_by=lambda one: one.rate)
some_curves = st.lists(st.builds(curve, some_points, st.floats(0.001, 10)), min_size=1, max_size=7)


@given(some_curves)
def test_every_picture_is_a_document_whose_marks_are_inside(curves: list[Curve]) -> None:
    root = ElementTree.fromstring(curve_svg.draw(result(*curves)))
    for one in root.iter("{http://www.w3.org/2000/svg}circle"):
        assert 0 <= float(one.attrib["cx"]) <= curve_svg.WIDTH
        assert 0 <= float(one.attrib["cy"]) <= curve_svg.HEIGHT


def test_a_knee_is_marked_and_named() -> None:
    drawn = curve_svg.draw(result(curve([point(100, 0.05), point(200, 0.2)])))
    assert "64 rows: 150/s" in drawn
    assert 'r="6"' in drawn


def test_a_rate_that_is_not_sure_is_named_as_a_bound() -> None:
    drawn = curve_svg.draw(result(curve([point(100, 0.05), point(200, 0.2, generator_share=0.99)], max_rows=1)))
    assert "batching off: over 100/s" in drawn
    assert 'r="6"' not in drawn


def test_the_picture_of_the_page_is_the_one_that_is_drawn_now() -> None:
    assert calibrate_picture.PICTURE.read_text() == calibrate_picture.draw()


def test_a_name_cannot_break_the_document() -> None:
    assert "a&lt;b" in curve_svg.draw(result(curve([point(100, 0.05)]), model="a<b"))
