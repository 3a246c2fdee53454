"""Pauses that end by themselves: a real engine and store, clocks that are set, processes that are restarted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.action import ActionType
from fairlead.contracts.revision import Cause, State
from fairlead.rollout.windows.pause_clock import PauseClock
from unit.rollout.policy.builders import V1, later
from unit.rollout.simulated_platform import Platform, at_step

PAUSE_S = 600.0


@pytest.fixture
def platform() -> Iterator[Platform]:
    """At 5 %, paused for ten minutes."""
    platform = Platform()
    platform.deploy()
    platform.settle(3)
    at_step(platform, 500)
    platform.ask(ActionType.PAUSE, pause_for=PAUSE_S)
    platform.settle(1)
    assert platform.head.state.paused
    yield platform
    platform.store.close()


def test_it_ends_when_its_time_is_over_and_the_rollout_goes_on(platform: Platform) -> None:
    platform.settle(1, PAUSE_S - 10)
    assert platform.head.state.paused
    platform.settle(1, 10)
    resumed = next(one for one in reversed(platform.store.revisions("iris")) if one.cause is Cause.ACTION)
    assert (resumed.actor, resumed.reason) == ("fairlead", "the pause of 10m is over")
    platform.settle(20, 5)
    assert platform.head.table.weight == 2500


def test_a_restart_keeps_it_and_does_not_begin_it_again(platform: Platform) -> None:
    platform.settle(1, PAUSE_S / 2)
    platform.engine = platform.started()
    platform.settle(1, PAUSE_S / 2 - 10)
    assert platform.head.state.paused
    platform.settle(1, 10)
    assert not platform.head.state.paused


def test_time_during_which_no_process_ran_counts(platform: Platform) -> None:
    platform.wait(PAUSE_S)
    platform.engine = platform.started()
    platform.tick()
    assert not platform.head.state.paused


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_clock_that_is_set_neither_lengthens_nor_shortens_it(platform: Platform, jump: float) -> None:
    platform.jump(jump)
    platform.settle(1, PAUSE_S - 10)
    assert platform.head.state.paused
    platform.settle(1, 10)
    assert not platform.head.state.paused


def test_a_clock_that_was_set_back_before_a_restart_makes_it_begin_again_at_most(platform: Platform) -> None:
    platform.jump(-7 * 86400.0)
    platform.engine = platform.started()
    platform.tick()
    platform.settle(1, PAUSE_S)
    assert not platform.head.state.paused


def test_a_resumed_route_may_be_paused_again(platform: Platform) -> None:
    platform.ask(ActionType.RESUME)
    platform.settle(1)
    platform.ask(ActionType.PAUSE, pause_for=60.0)
    platform.settle(1, 1)
    assert platform.head.state.paused
    platform.settle(1, 60)
    assert not platform.head.state.paused


@given(
    lasts=st.floats(1, 10**6),
    steps=st.lists(st.tuples(st.floats(0, 10**5), st.floats(-(10**7), 10**7)), max_size=12),
)
def test_whatever_the_clock_says_one_process_measures_the_same_pause(
    lasts: float, steps: list[tuple[float, float]]
) -> None:
    elapsed = 0.0
    clock = PauseClock(lambda: elapsed)
    state = State(target=V1, entered_at=later(0), paused=True, paused_until=later(lasts), paused_for=lasts)
    assert clock.left_s("iris", state, later(0)) == pytest.approx(lasts, abs=1e-3)
    for passed, wall in steps:
        elapsed += passed
        assert clock.left_s("iris", state, later(wall)) == pytest.approx(max(0.0, lasts - elapsed), abs=1e-3)
