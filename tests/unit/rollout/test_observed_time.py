"""A step lasts for its observed time, even if the clock is set meanwhile."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.contracts.revision import Phase
from fairlead.contracts.route import Step, Strategy, WarmUp
from unit.rollout.simulated_platform import Platform, at_step

LASTS_S = 60
WINDOW_S = 5
STEPS = (Step(weight=500, min_duration=LASTS_S), Step(weight=5000, min_duration=LASTS_S))


def started(**strategy: object) -> Platform:
    """A platform on which 1.1.0 has just got 5 %."""
    platform = Platform()
    platform.deploy(strategy=Strategy.model_validate({"steps": STEPS, "min_requests": 0, **strategy}))
    platform.settle()
    at_step(platform, 500)
    return platform


def watch(platform: Platform, seconds: int) -> int:
    """Tick once a second for `seconds`, or until the step is over. Returns the number of seconds."""
    for looked in range(1, seconds + 1):
        platform.tick(1)
        platform.supervise()
        platform.acknowledge()
        if platform.head.table.weight != 500:
            return looked
    return seconds


def test_with_a_clock_that_runs_a_step_lasts_what_its_strategy_says() -> None:
    assert watch(started(), 100) in range(LASTS_S, LASTS_S + 2)


@pytest.mark.parametrize("jump_s", [9, 14, 60, 3600, 86400, -9, -30, -3600, -86400])
def test_a_clock_jump_ends_no_step_early_and_makes_none_last_much_longer(jump_s: int) -> None:
    platform = started()
    assert watch(platform, 20) == 20
    platform.jump(jump_s)
    assert LASTS_S - 20 <= watch(platform, 200) <= LASTS_S - 20 + 3 * WINDOW_S


def test_a_step_that_a_fast_clock_began_ends_when_it_was_watched_long_enough() -> None:
    platform = Platform()
    platform.deploy(strategy=Strategy(steps=STEPS, min_requests=0))
    platform.settle()
    platform.jump(3600)  # the clock is ahead from here on
    at_step(platform, 500)
    platform.jump(-3600)  # and is corrected
    assert LASTS_S - WINDOW_S <= watch(platform, 200) <= LASTS_S + 3 * WINDOW_S


def test_the_time_in_which_no_control_plane_watched_is_not_a_part_of_the_step() -> None:
    platform = started()
    assert watch(platform, 20) == 20
    platform.wait(3600)
    platform.engine = platform.started()
    assert LASTS_S - 20 - WINDOW_S <= watch(platform, 200) <= LASTS_S - 20 + 3 * WINDOW_S


def test_a_control_plane_whose_clock_is_behind_does_not_wait_until_it_has_caught_up() -> None:
    platform = started()
    assert watch(platform, 20) == 20
    platform.jump(-3600)
    platform.engine = platform.started()
    assert LASTS_S - 20 <= watch(platform, 200) <= LASTS_S - 20 + 4 * WINDOW_S


def test_a_deadline_passes_in_observed_time_too() -> None:
    platform = Platform()
    platform.deploy(strategy=Strategy(steps=STEPS, min_requests=0, warm_up=WarmUp(deadline=60)))
    platform.settle()
    platform.release("1.1.0")
    platform.turn(platform.ref("1.1.0"), ready=False)
    platform.tick(1)
    platform.wait(3600)
    for _ in range(10):
        platform.tick(1)
        platform.turn(platform.ref("1.1.0"), ready=False)
    assert (platform.head.state.phase, platform.head.state.rejected) == (Phase.PREPARING, ())
    for _ in range(70):
        platform.tick(1)
        platform.turn(platform.ref("1.1.0"), ready=False)
    assert "no ready instance" in platform.head.state.rejected[0].reason


def test_what_onInconclusive_waits_for_is_observed_time() -> None:  # noqa: N802
    platform = started(min_requests=1000, on_inconclusive={"after": "2h", "do": "promote"})
    platform.wait(3 * 3600)
    assert watch(platform, 100) == 100
    assert platform.head.table.weight == 500


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 40), st.sampled_from([-86400, -3600, -9, 9, 20, 3600, 86400])), max_size=4))
def test_no_schedule_of_jumps_ends_a_step_a_window_before_its_time(jumps: list[tuple[int, int]]) -> None:
    platform, watched = started(), 0
    for seconds, jump in jumps:
        if platform.head.table.weight != 500:
            break
        watched += watch(platform, seconds)
        if platform.head.table.weight == 500:
            platform.jump(jump)
    if platform.head.table.weight == 500:
        watched += watch(platform, 300)
    assert LASTS_S - WINDOW_S <= watched <= LASTS_S + (1 + 3 * len(jumps)) * WINDOW_S
