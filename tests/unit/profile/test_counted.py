"""What instances say that they counted: what is written is read, sums are sums, and nothing wrong is believed."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.profile.counted import Counted, added, read
from support.drift_texts import a_text
from support.profiles import of_points

PROFILE = of_points()
SIZES = {one.name: len(one.bins) for one in PROFILE.every}
some_counts = st.fixed_dictionaries(
    {name: st.lists(st.integers(0, 10**9), min_size=size, max_size=size) for name, size in SIZES.items()}
)


@given(some_counts)
def test_what_a_service_writes_is_read(live: dict[str, list[int]]) -> None:
    found = read(a_text(PROFILE, live))
    assert {one.feature: one.live.tolist() for one in found.features} == live
    assert {one.feature: tuple(one.reference) for one in found.features} == {
        one.name: one.counts for one in PROFILE.every
    }
    assert found.requests[""] == max(sum(one) for one in live.values())


def test_the_edges_of_numbers_are_read() -> None:
    (x, kind, _) = read(a_text(PROFILE, {})).features
    assert x.starts == {"00": 0.0, "01": 5.0, "hi": 10.0}
    assert kind.starts == {}


def test_a_service_without_a_profile_has_counted_nothing() -> None:
    assert read(a_text(None, {})) == Counted()


@given(some_counts, some_counts)
def test_the_counts_of_instances_add_up(one: dict[str, list[int]], other: dict[str, list[int]]) -> None:
    found = added([read(a_text(PROFILE, one)), read(a_text(PROFILE, other))])
    assert {feature.feature: feature.live.tolist() for feature in found.features} == {
        name: np.add(one[name], other[name]).tolist() for name in SIZES
    }


def test_instances_with_different_profiles_do_not_add_up() -> None:
    others = [read(a_text(profile, {})) for profile in (PROFILE, of_points(rows=10, data="other.csv"))]
    with pytest.raises(ValueError, match="different profiles"):
        added(others)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        (r'(_drift_values_total\{.*feature="x",bin="00".*) 0', r"\1 -1"),
        (r'(_drift_values_total\{.*feature="x",bin="00".*) 0', r"\1 NaN"),
        (r'(_drift_values_total\{.*feature="x",bin="00".*) 0', r"\1 1e300"),
        (r'.*_drift_values_total\{.*feature="x",bin="00".*\n', ""),
        (r'.*_drift_critical\{.*feature="x".*\n', ""),
        (r'(_drift_critical\{.*feature="x".*) .*', r"\1 0"),
        (r".*_drift_requests_total\{.*\n", ""),
        (r".*_profile_info\{.*\n", ""),
        (r"(_drift_reference_values\{.*) \d+", r"\1 0"),
    ],
)
def test_a_text_that_cannot_be_right_is_refused(line: str, wrong: str) -> None:
    text = re.sub(line, wrong, a_text(PROFILE, {}))
    assert text != a_text(PROFILE, {})
    with pytest.raises(ValueError, match="."):
        read(text)


@given(st.text())
def test_any_other_text_is_refused_with_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="profile"):
        read(text)


def test_names_are_unescaped() -> None:
    text = a_text(PROFILE, {}).replace('feature="x"', r'feature="a\"} b\\\n"')
    assert read(text).features[0].feature == 'a"} b\\\n'
