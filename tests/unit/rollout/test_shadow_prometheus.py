"""A shadow where Prometheus counts: pairs come from services, whatever Prometheus does, and each is counted once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fairlead.contracts.prometheus import PrometheusSettings
from fairlead.contracts.revision import Cause, Phase, Window
from fairlead.rollout.analysis.counts import EARLY
from fairlead.rollout.analysis.prometheus_stats import PrometheusStats
from fairlead.rollout.reconcile import Engine
from unit.rollout.recorded import Recorded
from unit.rollout.stage import Stage
from unit.rollout.test_prometheus_failures import InProcess
from unit.rollout.test_shadow import SHADOW, counted, mirror


class Shadowed:
    """1.1.0 is shadowed beside 1.0.0; gateways are scraped every so often, and nothing else is known of them."""

    def __init__(self, interval_s: int) -> None:
        self.interval_s = interval_s
        self.stage = Stage()
        self.recorded = Recorded(self.stage.now)
        self.stage.engine = self.started()
        self._seconds = 0
        self.stage.deploy(strategy=SHADOW)
        self.live(4)
        self.stage.release("1.1.0")
        self.live(6)
        assert self.stage.head.state.phase is Phase.SHADOWING

    def started(self) -> Engine:
        settings = PrometheusSettings(url="http://127.0.0.1:9", scrape_interval=float(self.interval_s))
        return self.stage.started(history=PrometheusStats(settings, InProcess(self.recorded)), replays=True)

    def live(self, seconds: int, each: Callable[[], None] = lambda: None) -> None:
        for _ in range(seconds):
            self._seconds += 1
            self.stage.wait(1)
            self.recorded.pass_time(1)
            if self._seconds % self.interval_s == 0:
                for reading in self.stage.read():
                    self.recorded.scrape(reading)
            each()
            self.stage.engine.tick()
            self.stage.supervise()
            self.stage.acknowledge()

    @property
    def windows(self) -> list[Window]:
        taken = [window for one in self.stage.store.revisions("iris") for window in one.windows]
        return [*taken, *self.stage.store.windows("iris")]


@pytest.mark.parametrize("interval_s", [5, 60])
def test_one_that_answers_otherwise_is_refused_without_waiting_for_a_scrape(interval_s: int) -> None:
    world = Shadowed(interval_s)
    world.live(5, lambda: mirror(world.stage, 60, "b"))
    assert world.stage.head.cause is Cause.ROLLED_BACK
    assert counted(world.stage) <= 120
    assert [one.gap for one in world.windows if one.pairs.n][-1] == EARLY


def test_one_that_agrees_goes_on_and_every_pair_is_in_one_window() -> None:
    world, said = Shadowed(5), [0]

    def each() -> None:
        said[0] += 15
        mirror(world.stage, 15)

    world.live(8, each)
    world.live(12)
    assert (world.stage.head.state.phase, world.stage.head.table.weight) == (Phase.CANARY, 1000)
    assert counted(world.stage) == said[0] == 120


@pytest.mark.parametrize("label", ["a", "b"])
def test_while_prometheus_is_away_pairs_are_judged_all_the_same(label: str) -> None:
    world = Shadowed(5)
    world.recorded.silent = True
    world.live(30, lambda: mirror(world.stage, 5, label))
    if label == "b":
        assert world.stage.head.cause is Cause.ROLLED_BACK
        return
    assert counted(world.stage) >= 100
    assert world.windows[-1].gap is not None
    assert world.stage.head.state.phase is Phase.CANARY


def test_two_engines_that_take_turns_count_no_pair_twice_although_windows_end_before_they_are_seen() -> None:
    world, said = Shadowed(5), [0]
    first, second = world.stage.engine, world.started()

    def each() -> None:
        said[0] += 1
        mirror(world.stage, 1)

    for engine in (first, second) * 6:
        world.stage.engine = engine
        world.live(4, each)
    assert 0 < counted(world.stage) <= said[0]


def test_a_clock_that_jumps_loses_no_pair_and_counts_none_twice() -> None:
    world = Shadowed(5)
    world.live(6, lambda: mirror(world.stage, 10))
    world.stage.jump(3600)
    world.recorded.pass_time(3600)
    world.live(8, lambda: mirror(world.stage, 5))
    world.live(10)
    assert counted(world.stage) == 100
