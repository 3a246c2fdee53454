"""Custom gates: a metric that vanishes is a gap for as long as it is away, never a count of nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from fairlead.contracts.route import GateSpec
from fairlead.contracts.table import Table
from fairlead.contracts.window import Window
from fairlead.rollout.ports import Reading, Series
from fairlead.rollout.windows.attempt_history import ComparisonPeriod
from fairlead.rollout.windows.custom_metrics import CustomTallies
from fairlead.rollout.windows.freshness import Freshness
from fairlead.rollout.windows.source import RouteTick
from unit.rollout.policy.builders import NOW, V2, a_route, a_strategy, canary, later

NAME = "custom-lost"
GATE = GateSpec.model_validate(
    {"name": NAME, "promql": {"bad": 'lost_total{version="$version"}', "total": 'seen_total{version="$version"}'}}
)
INTERVAL_S = 5.0


class Metrics:
    """A `ports.History` in which the version in `away_since` is scraped only up to that moment."""

    def __init__(self) -> None:
        self.away_since: dict[str, datetime] = {}

    @property
    def interval_s(self) -> float:
        return INTERVAL_S

    def clock(self) -> datetime:
        return later(1000)

    def readings(self, table: Table, since: datetime, until: datetime, *, latency: bool) -> Sequence[Reading]:
        return ()

    def series(self, selector: str, since: datetime, until: datetime) -> Sequence[Series]:
        version = selector.split('"')[1]
        end = min(until, self.away_since.get(version, until))
        at = [since + timedelta(seconds=step) for step in range(0, 10_000, 5)]
        rate = 10 if selector.startswith("seen") else 0
        samples = [(one.timestamp(), rate * (1000 + (one - NOW).total_seconds())) for one in at if one <= end]
        labels = {"__name__": selector.split("{")[0], "job": "j", "instance": version}
        return [Series(labels, samples)] if samples else []


def windows(metrics: Metrics, count: int) -> list[Window]:
    """One window after the other, of five seconds each."""
    route, head, found = a_route(strategy=a_strategy(gates=(GATE,))), canary(), list[Window]()
    for end in range(10, 10 + 5 * count, 5):
        freshness = Freshness(later(end))
        tick = RouteTick(route, head, found, ComparisonPeriod(NOW, ((NOW, head.table),)), later(end), freshness)
        custom = CustomTallies(metrics, tick).up_to(later(end))
        found.append(Window(start=later(end - 5), end=later(end), weight=500, custom=custom))
    return found


def test_while_it_is_scraped_it_is_counted() -> None:
    gaps = {one.custom[NAME].gap for one in windows(Metrics(), 4)}
    assert gaps == {None}


def test_a_metric_that_vanished_is_a_gap_for_as_long_as_it_is_away() -> None:
    metrics = Metrics()
    metrics.away_since[V2.version] = later(20)
    gaps = [one.custom[NAME].gap for one in windows(metrics, 20) if NAME in one.custom]
    assert gaps[0] is None, "it was counted at first"
    assert set(gaps[-8:]) == {"1.1.0's metric is not scraped any more"}


def test_a_metric_that_was_never_there_counts_nothing() -> None:
    metrics = Metrics()
    metrics.away_since[V2.version] = later(-600)
    (custom,) = {one.custom[NAME].gap for one in windows(metrics, 4)}
    assert custom is None
