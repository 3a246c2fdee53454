"""The oracle that the proof of autoscaling compares an autoscaler with."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from support.autoscaling.samples import Sample
from support.autoscaling.schedules import HALF_HOUR, SCHEDULES, START_S, judge, oracle

EVERY = START_S / 2


def cheapest(needed: list[int]) -> float:
    """The same by trying all numbers of instances at all moments."""
    most = max(needed)
    choices = [range(one, most + 1) for one in needed[1:]]
    return min(
        sum(counts) * EVERY + START_S * sum(max(0, later - earlier) for earlier, later in itertools.pairwise(counts))
        for counts in itertools.product([needed[0]], *choices)
    )


@given(st.lists(st.integers(1, 3), min_size=1, max_size=6))
def test_no_choice_of_instances_is_cheaper_than_the_oracle(needed: list[int]) -> None:
    assert oracle(needed, EVERY) == cheapest(needed)


def test_an_instance_that_is_needed_again_soon_stays_and_one_that_is_not_starts_again() -> None:
    assert oracle([2, 1, 2], EVERY) == 6 * EVERY
    assert oracle([2, 1, 1, 1, 1, 2], EVERY) == 8 * EVERY + START_S


def test_one_who_always_has_what_the_load_needs_pays_no_more_than_the_oracle_and_is_short_while_instances_start() -> (
    None
):
    for schedule in SCHEDULES:
        moments = [step * 5.0 for step in range(round(HALF_HOUR / 5))]
        samples = [Sample(at, schedule.needed(at, per_instance=2, most=6), 1) for at in moments]
        judged = judge(schedule, samples, per_instance=2, most=6)
        assert judged.wanted_seconds == judged.needed_seconds
        assert judged.ratio < 1
        assert judged.short_seconds >= START_S


def test_one_who_keeps_the_most_instances_is_never_short_and_never_turns() -> None:
    for schedule in SCHEDULES:
        judged = judge(schedule, [Sample(0.0, 6, 6)], per_instance=2, most=6)
        assert (judged.short_seconds, judged.turns) == (0, 0)
        assert judged.ratio > 1
