"""A shadow with Prometheus as metric source: pairs come from the services independently, and each is counted once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fairlead.contracts.prometheus import PrometheusSettings
from fairlead.contracts.revision import Cause, Phase
from fairlead.contracts.window import Window
from fairlead.rollout.analysis.counts import EARLY_GAP
from fairlead.rollout.analysis.prometheus_stats import PrometheusStats
from fairlead.rollout.reconcile import Engine
from unit.rollout.recorded_prometheus import RecordedPrometheus
from unit.rollout.simulated_platform import Platform
from unit.rollout.test_prometheus_failures import InProcess
from unit.rollout.test_shadow import SHADOW, counted, mirror


class Shadowed:
    """1.1.0 is shadowed beside 1.0.0. The engine knows of the gateways only what is scraped every `interval_s`."""

    def __init__(self, interval_s: int) -> None:
        self.interval_s = interval_s
        self.platform = Platform()
        self.recorded = RecordedPrometheus(self.platform.now)
        self.platform.engine = self.started()
        self._seconds = 0
        self.platform.deploy(strategy=SHADOW)
        self.live(4)
        self.platform.release("1.1.0")
        self.live(6)
        assert self.platform.head.state.phase is Phase.SHADOWING

    def started(self) -> Engine:
        settings = PrometheusSettings(url="http://127.0.0.1:9", scrape_interval=float(self.interval_s))
        return self.platform.started(history=PrometheusStats(settings, InProcess(self.recorded)), replays=True)

    def live(self, seconds: int, each: Callable[[], None] = lambda: None) -> None:
        for _ in range(seconds):
            self._seconds += 1
            self.platform.wait(1)
            self.recorded.pass_time(1)
            if self._seconds % self.interval_s == 0:
                for reading in self.platform.read():
                    self.recorded.scrape(reading)
            each()
            self.platform.engine.tick()
            self.platform.supervise()
            self.platform.acknowledge()

    @property
    def windows(self) -> list[Window]:
        taken = [window for one in self.platform.store.revisions("iris") for window in one.windows]
        return [*taken, *self.platform.store.windows("iris")]


@pytest.mark.parametrize("interval_s", [5, 60])
def test_a_candidate_that_disagrees_is_rolled_back_without_waiting_for_a_scrape(interval_s: int) -> None:
    world = Shadowed(interval_s)
    world.live(5, lambda: mirror(world.platform, 60, "b"))
    assert world.platform.head.cause is Cause.ROLLED_BACK
    assert counted(world.platform) <= 120
    assert [one.gap for one in world.windows if one.pairs.n][-1] == EARLY_GAP


def test_a_candidate_that_agrees_goes_on_and_every_pair_is_in_one_window() -> None:
    world, said = Shadowed(5), [0]

    def each() -> None:
        said[0] += 15
        mirror(world.platform, 15)

    world.live(8, each)
    world.live(12)
    assert (world.platform.head.state.phase, world.platform.head.table.weight) == (Phase.CANARY, 1000)
    assert counted(world.platform) == said[0] == 120


@pytest.mark.parametrize("label", ["a", "b"])
def test_while_prometheus_is_away_pairs_are_judged_all_the_same(label: str) -> None:
    world = Shadowed(5)
    world.recorded.silent = True
    world.live(30, lambda: mirror(world.platform, 5, label))
    if label == "b":
        assert world.platform.head.cause is Cause.ROLLED_BACK
        return
    assert counted(world.platform) >= 100
    assert world.windows[-1].gap is not None
    assert world.platform.head.state.phase is Phase.CANARY


def test_two_engines_that_take_turns_count_no_pair_twice_although_windows_end_before_they_are_seen() -> None:
    world, said = Shadowed(5), [0]
    first, second = world.platform.engine, world.started()

    def each() -> None:
        said[0] += 1
        mirror(world.platform, 1)

    for engine in (first, second) * 6:
        world.platform.engine = engine
        world.live(4, each)
    assert 0 < counted(world.platform) <= said[0]


def test_a_clock_that_jumps_loses_no_pair_and_counts_none_twice() -> None:
    world = Shadowed(5)
    world.live(6, lambda: mirror(world.platform, 10))
    world.platform.jump(3600)
    world.recorded.pass_time(3600)
    world.live(8, lambda: mirror(world.platform, 5))
    world.live(10)
    assert counted(world.platform) == 100
