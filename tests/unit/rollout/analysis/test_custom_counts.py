"""Increases of counters between two moments: restarts, first failures, instances that come and go."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.window import Counts
from fairlead.rollout.analysis.counts import Gap
from fairlead.rollout.analysis.custom_counts import NotScrapedYet, VersionSeries, count
from fairlead.rollout.ports import Series

START, END = 1000.0, 1030.0


def series(*samples: tuple[float, float], name: str = "seen_total", instance: str = "a", **labels: str) -> Series:
    return Series({"__name__": name, "job": "j", "instance": instance, **labels}, list(samples))


def counted(total: list[Series], bad: list[Series] | None = None) -> Counts:
    since, until = (datetime.fromtimestamp(at, UTC) for at in (START, END))
    return count(VersionSeries(bad or [], total), since, until, 5.0)


def test_rises_of_all_targets_are_added() -> None:
    total = [series((998, 10), (1028, 30)), series((999, 5), (1029, 7), instance="b")]
    bad = [series((998, 1), (1028, 4), name="bad_total")]
    assert counted(total, bad) == Counts(n=22, bad=3)


def test_a_first_failure_counts_from_zero() -> None:
    assert counted([series((998, 10), (1028, 30))], [series((1028, 2), name="bad_total")]) == Counts(n=20, bad=2)


def test_an_instance_with_a_past_is_not_taken_for_a_burst() -> None:
    with pytest.raises(Gap, match="b was not scraped before"):
        counted([series((998, 10), (1028, 30)), series((1028, 900), instance="b")])


def test_an_instance_that_is_not_scraped_any_more_is_a_gap() -> None:
    with pytest.raises(Gap, match="b was not scraped any more"):
        counted([series((998, 10), (1028, 30)), series((998, 5), instance="b")])


@pytest.mark.parametrize("samples", [((998, 10), (1028, 3)), ((998, 10), (1010, 1), (1028, 30))])
def test_a_counter_that_fell_is_a_gap_though_it_rose_beyond_meanwhile(samples: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(Gap, match="fell: started anew, or not a counter"):
        counted([series(*samples)])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_a_value_that_is_no_count_is_a_gap(value: float) -> None:
    for samples in [((998, value), (1028, 30)), ((998, 10), (1028, value))]:
        with pytest.raises(Gap, match=r"which is no count|fell"):
            counted([series(*samples)])


def test_bad_must_be_a_part_of_total() -> None:
    with pytest.raises(Gap, match="must be a part of"):
        counted([series((998, 0), (1028, 10))], [series((998, 0), (1028, 50), name="bad_total")])
    assert counted([series((998, 0), (1028, 10))], [series((998, 0), (1028, 11), name="bad_total")]).bad == 10


def test_a_target_that_was_not_scraped_since_is_waited_for() -> None:
    late = [series((1019, 10)), series((999, 5), (1029, 7), instance="b")]
    since, until = (datetime.fromtimestamp(at, UTC) for at in (1020.0, 1030.0))
    with pytest.raises(NotScrapedYet):
        count(VersionSeries([], late), since, until, 5.0)


def test_without_series_nothing_is_counted() -> None:
    assert counted([]) == Counts()


@given(st.lists(st.integers(0, 50), min_size=2, max_size=12), st.data())
def test_windows_that_follow_each_other_count_everything_once(rises: list[int], data: st.DataObject) -> None:
    samples = [(1000.0 + 5 * at, float(value)) for at, value in enumerate(accumulate(rises))]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(rises) - 1), max_size=5)) | {0, len(rises) - 1})
    whole = 0
    for one, other in zip(cuts, cuts[1:], strict=False):
        since, until = (datetime.fromtimestamp(1000.0 + 5 * at + 1, UTC) for at in (one, other))
        whole += count(VersionSeries([], [series(*samples)]), since, until, 5.0).n
    assert whole == sum(rises[1:])
