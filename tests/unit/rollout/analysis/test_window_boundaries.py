"""A window ends at every reading; the next complete reading covers missed ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.rollout.analysis.window_boundaries import WindowReadings, WindowTracker
from fairlead.rollout.ports import Reading

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FLEETS = st.lists(st.sets(st.sampled_from("abc")).map(sorted).map("".join), min_size=1, max_size=12)


def windows(fleets: Sequence[str]) -> list[WindowReadings]:
    """One reading every five seconds; a letter is a gateway that answered."""
    tracker = WindowTracker()
    return [
        tracker.end_window(now, [Reading(name, now, {}, {}) for name in fleet], {})
        for now, fleet in ((NOW + timedelta(seconds=5 * at), fleet) for at, fleet in enumerate(fleets))
    ]


def spans(fleets: Sequence[str]) -> list[tuple[float, float] | None]:
    """From when to when each window counts, in readings; None if different gateways answered at its two ends."""
    found: list[tuple[float, float] | None] = []
    for at, window in enumerate(windows(fleets)):
        reported, before = ({one.gateway for one in readings} for readings in (window.after, window.before))
        known = window.start is not None and reported and reported == before
        found.append(((window.start - NOW).total_seconds() / 5, at) if known and window.start else None)
    return found


@pytest.mark.parametrize(
    ("fleets", "expected"),
    [
        (["ab", "ab", "ab"], [None, (0, 1), (1, 2)]),
        (["ab", "a", "ab"], [None, None, (0, 2)]),
        (["ab", "", "", "ab", "ab"], [None, None, None, (0, 3), (3, 4)]),
        (["ab", "a", "a", "a"], [None, None, (1, 2), (2, 3)]),
        (["ab", "a", "a", "ab", "ab"], [None, None, (1, 2), None, (3, 4)]),
        (["ab", "ac", "ac"], [None, None, (1, 2)]),
        (["ab", "a", "b", "ab"], [None, None, None, (0, 3)]),
        (["", "", "a", "a"], [None, None, None, (2, 3)]),
    ],
)
def test_a_missed_reading_is_recovered_when_the_same_gateways_answer_again(
    fleets: list[str], expected: list[tuple[float, float] | None]
) -> None:
    assert spans(fleets) == expected


@given(FLEETS)
def test_no_moment_is_ever_counted_twice(fleets: list[str]) -> None:
    counted = [span for span in spans(fleets) if span is not None]
    assert all(one[1] <= other[0] for one, other in zip(counted, counted[1:], strict=False))


@given(FLEETS)
def test_only_what_was_missed_in_between_is_called_bridged(fleets: list[str]) -> None:
    for at, (window, span) in enumerate(zip(windows(fleets), spans(fleets), strict=True)):
        assert window.bridged == (span is not None and span[0] < at - 1)
