"""The oracle that the proof of autoscaling compares an autoscaler with."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.autoscaling.samples import Sample
from support.autoscaling.schedules import (
    GOAL,
    HALF_HOUR,
    REACTION_S,
    SCHEDULES,
    START_S,
    Judged,
    Schedule,
    judge,
    oracle,
)

EVERY = START_S / 2
SIZE: dict[str, int] = {"per_instance": 2, "most": 6}


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


MOMENTS = [step * 5.0 for step in range(round(HALF_HOUR / 5))]


def follower(schedule: Schedule, later: float) -> Judged:
    """What one is judged to be who wants what the load needs, so many seconds later."""
    wanted = [schedule.needed(at - later, per_instance=2, most=6) for at in MOMENTS]
    return judge(schedule, [Sample(at, one, one) for at, one in zip(MOMENTS, wanted, strict=True)], **SIZE)


def keeper(schedule: Schedule, instances: int) -> Judged:
    """What one is judged to be who never scales."""
    return judge(schedule, [Sample(0.0, instances, instances)], **SIZE)


every_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda one: one.model)


@every_schedule
def test_one_who_has_what_the_load_needs_at_once_pays_no_more_than_the_oracle_and_misses_only_what_starts(
    schedule: Schedule,
) -> None:
    judged = follower(schedule, 0)
    assert judged.wanted_seconds == judged.needed_seconds
    assert judged.ratio < 1
    assert 0 < judged.missing_seconds < judged.lagging_seconds


@every_schedule
def test_one_who_keeps_the_most_instances_misses_none_and_pays_more(schedule: Schedule) -> None:
    judged = keeper(schedule, 6)
    assert (judged.missing_seconds, judged.turns) == (0, 0)
    assert judged.ratio > GOAL
    assert judged.most >= judged.lasting


@every_schedule
def test_one_who_never_scales_pays_little_and_is_found_by_what_is_missing(schedule: Schedule) -> None:
    judged = keeper(schedule, 1)
    assert judged.ratio < 1
    assert judged.most < judged.lasting
    assert judged.missing_seconds > judged.lagging_seconds


@every_schedule
@given(later=st.floats(0, 600))
def test_more_is_missing_than_may_be_when_the_load_is_followed_too_late(schedule: Schedule, later: float) -> None:
    judged = follower(schedule, later)
    if later <= REACTION_S - 5:
        assert judged.missing_seconds <= judged.lagging_seconds
    if later >= 3 * REACTION_S and schedule.model != "sawtooth":  # the tooth of five minutes is there again by then
        assert judged.missing_seconds > judged.lagging_seconds
