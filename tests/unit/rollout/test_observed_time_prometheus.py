"""With Prometheus as metric source, a step lasts for its observed time, even if a clock is set meanwhile."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.contracts.prometheus import PrometheusSettings
from fairlead.contracts.route import Step, Strategy
from fairlead.contracts.window import Window
from fairlead.rollout.analysis.prometheus_stats import PrometheusStats
from fairlead.rollout.reconcile import Engine
from unit.rollout.recorded_prometheus import RecordedPrometheus
from unit.rollout.simulated_platform import Platform
from unit.rollout.test_prometheus_failures import InProcess

WINDOW_S = 5
LASTS_S = {5: 60, 15: 60, 60: 180}
"""Scrape interval -> how long a step lasts."""
BEFORE_S = 30
"""The observed time before a clock is set."""
SETTLES_S = 4


class Scraped:
    """A platform whose gateways are scraped every `interval_s`, with more frequent ticks. Both clocks can be set."""

    def __init__(self, interval_s: int) -> None:
        self.interval_s, self.lasts_s = interval_s, LASTS_S[interval_s]
        self.tick_s = max(1, interval_s // 12)
        self.platform = Platform()
        self.recorded = RecordedPrometheus(self.platform.now)
        self.platform.engine = self.started()
        self._seconds = 0
        steps = (Step(weight=500, min_duration=self.lasts_s), Step(weight=5000, min_duration=3600.0))
        self.platform.deploy(strategy=Strategy(steps=steps, min_requests=0))
        self.live(3 * interval_s)
        self.platform.release("1.1.0")
        for _ in range(10 * interval_s):
            if self.weight:
                return
            self.live(self.tick_s)
        raise AssertionError(self.platform.store.status("iris"))

    def started(self) -> Engine:
        settings = PrometheusSettings(url="http://127.0.0.1:9", scrape_interval=float(self.interval_s))
        history = PrometheusStats(settings, InProcess(self.recorded))
        return self.platform.started(history=history, replays=True)

    @property
    def weight(self) -> int:
        return self.platform.head.table.weight

    @property
    def late_s(self) -> int:
        """How much longer a step may last for each time that a clock is set: the time that a window misses."""
        return 2 * self.interval_s + 3 * WINDOW_S + SETTLES_S

    def live(self, seconds: int) -> int:
        """Run for `seconds`, or until the step is over. Returns the seconds that were run."""
        for lived in range(self.tick_s, seconds + 1, self.tick_s):
            self._seconds += self.tick_s
            self.platform.wait(self.tick_s)
            self.recorded.pass_time(self.tick_s)
            if self._seconds % self.interval_s == 0:
                for reading in self.platform.read():
                    self.recorded.scrape(reading)
            self.platform.engine.tick()
            self.platform.supervise()
            self.platform.acknowledge()
            if self.platform.store.head("iris") is not None and self.weight == 5000:
                return lived
        return seconds

    def set_clocks(self, ours_s: float, theirs_s: float) -> None:
        self.platform.jump(ours_s)
        self.recorded.pass_time(theirs_s)

    @property
    def newest(self) -> Window:
        return self.platform.store.windows("iris")[-1]


@pytest.mark.parametrize("interval_s", [5, 15, 60])
def test_with_clocks_that_run_a_step_lasts_what_its_strategy_says(interval_s: int) -> None:
    world = Scraped(interval_s)
    assert world.live(400) in range(world.lasts_s, world.lasts_s + world.tick_s + 2)


@pytest.mark.parametrize(
    ("interval_s", "jump_s"), [(5, 8), (5, 14), (5, 35), (5, 3600), (15, 40), (60, 14), (60, 120), (60, 86400)]
)
def test_a_jump_ahead_of_both_clocks_ends_no_step_early(interval_s: int, jump_s: int) -> None:
    world = Scraped(interval_s)
    assert world.live(BEFORE_S) == BEFORE_S
    world.set_clocks(jump_s, jump_s)
    assert 0 <= world.live(600) - (world.lasts_s - BEFORE_S) <= world.late_s


@pytest.mark.parametrize("interval_s", [5, 60])
@pytest.mark.parametrize(
    ("jump_s", "told"),
    [*((one, "behind ours") for one in (8, 60, 120, 3600)), *((one, "ahead of ours") for one in (-60, -3600))],
)
def test_while_our_clock_alone_is_wrong_nothing_is_evidence_and_afterwards_the_step_goes_on(
    interval_s: int, jump_s: int, told: str
) -> None:
    world = Scraped(interval_s)
    assert world.live(BEFORE_S) == BEFORE_S
    world.set_clocks(jump_s, 0)
    assert world.live(20) == 20
    assert told in (world.newest.gap or "")
    world.set_clocks(-jump_s, 0)
    assert 0 <= world.live(600) - (world.lasts_s - BEFORE_S - 20) <= 2 * world.late_s


@pytest.mark.parametrize("interval_s", [5, 60])
def test_while_both_clocks_are_set_back_a_gap_is_reported_and_no_weight_rises(interval_s: int) -> None:
    world = Scraped(interval_s)
    assert world.live(BEFORE_S) == BEFORE_S
    world.set_clocks(-600, -600)
    assert world.live(300) == 300
    assert "was set back" in (world.newest.gap or "")
    assert 300 - interval_s - SETTLES_S <= world.live(600) <= 300 + world.late_s


def test_windows_replayed_after_the_control_plane_was_down_are_no_part_of_the_step() -> None:
    world = Scraped(5)
    assert world.live(BEFORE_S) == BEFORE_S
    for _ in range(24):
        world.set_clocks(5, 5)
        for reading in world.platform.read():
            world.recorded.scrape(reading)
    world.platform.engine = world.started()
    assert 0 <= world.live(600) - (world.lasts_s - BEFORE_S) <= world.late_s


@settings(max_examples=10)
@given(
    st.sampled_from([5, 60]),
    st.lists(
        st.tuples(st.sampled_from([5, 20, 45, 90]), st.sampled_from([3, 8, 14, 40, 120, 3600]), st.booleans()),
        max_size=3,
    ),
)
def test_no_schedule_of_jumps_ahead_ends_a_step_early(interval_s: int, jumps: list[tuple[int, int, bool]]) -> None:
    world, watched = Scraped(interval_s), 0
    for seconds, jump_s, both in jumps:
        if world.weight == 5000:
            break
        watched += world.live(seconds)
        world.set_clocks(jump_s, jump_s if both else 0)
    if world.weight != 5000:
        # Correct the clock, so that Prometheus is read again.
        world.set_clocks((world.recorded.now - world.platform.now).total_seconds(), 0)
        watched += world.live(600)
    assert 0 <= watched - world.lasts_s + world.tick_s <= (2 + 2 * len(jumps)) * world.late_s
