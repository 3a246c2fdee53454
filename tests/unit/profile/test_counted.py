"""What instances say that they counted: what is written is read, sums are sums, and nothing wrong is believed."""

from __future__ import annotations

import contextlib
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.base import digest
from fairlead.contracts.profile import MAX_BINS, MAX_FEATURES, to_text
from fairlead.contracts.slices import MAX_SLICES
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


TEXT = a_text(PROFILE, {})


@given(st.integers(0, len(TEXT)), st.integers(0, 200), st.text('{}",=0 \n', max_size=5))
def test_a_damaged_text_is_read_or_refused_with_a_value_error(start: int, gone: int, put: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(read(TEXT[:start] + put + TEXT[start + gone :]), Counted)


def test_names_are_unescaped() -> None:
    text = a_text(PROFILE, {}).replace('feature="x"', r'feature="a\"} b\\\n"')
    assert read(text).features[0].feature == 'a"} b\\\n'


def changed(line: str, other: str, text: str) -> str:
    found = re.sub(line, other, text)
    assert found != text
    return found


@pytest.mark.parametrize(
    ("line", "wrong", "why"),
    [
        (r"_profile_info\{.*\}", "_profile_info{}", "profile_info has no label profile"),
        (r'_drift_requests_total\{(.*),slice=""\}', r"_drift_requests_total{\1}", "has no label slice"),
        (r"(.*_drift_rows_total\{.*\n)", r"\1\1", "has a series twice"),
    ],
)
def test_a_series_without_its_labels_or_twice_is_refused(line: str, wrong: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read(changed(line, wrong, a_text(PROFILE, {})))


def test_labels_that_a_later_release_tells_are_not_read() -> None:
    text = changed(r"(_drift_rows_total|_profile_info)\{", r'\1{zone="a",', a_text(PROFILE, {"x": [0, 3, 4, 1, 0]}))
    found = read(text)
    assert (found.rows, found.profile) == (8, digest(to_text(PROFILE)))


@pytest.mark.parametrize("end", ["\u2028", "\x85", "\x0c", "\r"])
def test_a_name_may_have_what_other_programs_end_lines_with(end: str) -> None:
    text = a_text(PROFILE, {}).replace('feature="x"', f'feature="a{end}b"')
    assert read(text).features[0].feature == f"a{end}b"


def with_vectors(*names: str, directions: int = 3) -> str:
    """The text of a service that counts these vectors."""
    lines = [a_text(PROFILE, {})]
    for name in names:
        told = f'{{model="iris",version="1.0.0",feature="{name}"'
        lines += [f"fairlead_model_drift_{what}{told}}} 5" for what in ("vectors_total", "reference_vectors")]
        lines += [f"fairlead_model_drift_vector_critical{told}}} 0.5"]
        for what in ("directions_total", "reference_directions"):
            lines += [f'fairlead_model_drift_{what}{told},direction="{at:03}"}} 0.5' for at in range(directions)]
    return "\n".join(lines)


def test_the_sums_of_a_vector_are_read() -> None:
    (found,) = read(with_vectors("text")).vectors
    assert (found.feature, found.rows, found.sums.tolist(), found.means.tolist()) == ("text", 5, [0.5] * 3, [0.5] * 3)


def test_a_vector_without_directions_is_refused_and_not_as_the_reference() -> None:
    with pytest.raises(ValueError, match="no directions of text"):
        read(with_vectors("text", directions=0))


def test_instances_whose_vectors_have_other_directions_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="different profiles"):
        added([read(with_vectors("text")), read(with_vectors("text", directions=2))])


def with_bins(features: int, bins: int) -> str:
    """The text of a service with further features of so many bins each."""
    lines = [a_text(PROFILE, {})]
    for one in range(features):
        lines.append(f'fairlead_model_drift_critical{{model="iris",version="1.0.0",feature="f{one}"}} 5')
        for what in ("values_total", "reference_values"):
            told = f'fairlead_model_drift_{what}{{model="iris",version="1.0.0",feature="f{one}",slice="",bin="'
            lines += [f'{told}{at}"}} 1' for at in range(bins)]
    return "\n".join(lines)


def with_slices(slices: int) -> str:
    told = 'fairlead_model_drift_requests_total{model="iris",version="1.0.0",slice="s'
    return "\n".join([a_text(PROFILE, {}), *(f'{told}{at}"}} 1' for at in range(slices))])


@pytest.mark.parametrize(
    ("most", "more", "what"),
    [
        (with_bins(1, MAX_BINS - sum(SIZES.values())), with_bins(1, MAX_BINS), "bins"),
        (with_bins(MAX_FEATURES, 1), with_bins(MAX_FEATURES + 1, 1), "features"),
        (with_slices(MAX_SLICES), with_slices(MAX_SLICES + 1), "slices"),
        (with_vectors(*"abcd"), with_vectors(*"abcde"), "vectors"),
        (with_vectors(*"abcd", directions=128), with_vectors(*"abcd", directions=129), "directions"),
    ],
    ids=["bins", "features", "slices", "vectors", "directions"],
)
def test_more_than_a_profile_can_have_is_refused(most: str, more: str, what: str) -> None:
    assert read(most).profile
    with pytest.raises(ValueError, match=f"{what}, more than the"):
        read(more)


def test_counts_of_slices_are_left_out_if_told_so() -> None:
    value = 'fairlead_model_drift_{}{{model="iris",version="1.0.0",feature="x",slice="s0",bin="0 to 5"}} 3'
    text = "\n".join([with_slices(2), *(value.format(of) for of in ("values_total", "reference_values"))])
    assert (set(read(text).requests), {one.slice for one in read(text).features}) == ({"", "s0", "s1"}, {"", "s0"})
    whole = read(text, of_slices=False)
    assert (set(whole.requests), {one.slice for one in whole.features}) == ({""}, {""})


def test_an_input_whose_name_looks_like_a_slice_is_no_slice() -> None:
    text = with_bins(1, 2).replace('feature="f0"', 'feature="f,slice=\\"s\\""')
    assert [one.feature for one in read(text, of_slices=False).features] == [one.feature for one in read(text).features]
