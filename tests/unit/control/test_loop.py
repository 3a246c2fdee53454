import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.contracts.route import RouteSpec, Target, VersionSpec
from fairlead.control.desired_state import DesiredState
from fairlead.control.endpoints import ReadyInstances
from fairlead.control.loop import RESYNC_S, URGENT_INTERVAL_S, Loop
from fairlead.routing.snapshot import Settings, Snapshot
from fairlead.store.sqlite import SqliteStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class CountingEngine:
    """Counts its ticks. `during` is called in each tick and may raise."""

    def __init__(self) -> None:
        self.ticks = 0
        self.during: Callable[[], object] = lambda: None
        self.urgent: list[str] = []

    def tick_urgent(self) -> list[str]:
        found, self.urgent = self.urgent, []
        return found

    def tick(self, between: Callable[[], None]) -> None:
        self.ticks += 1
        self.during()
        between()


class RecordingPublisher:
    def __init__(self) -> None:
        self.wanted: list[Snapshot] = []
        self.steps = 0
        self.follows = 0
        self.refusing = ""

    def want(self, snapshot: Snapshot) -> None:
        if self.refusing:
            raise errors.Refused(self.refusing)
        self.wanted.append(snapshot)

    def step(self) -> None:
        self.steps += 1

    def follow(self) -> None:
        self.follows += 1


class Setup:
    def __init__(self, path: Path) -> None:
        self.store = SqliteStore(path / "ledger.db")
        self.engine = CountingEngine()
        self.publisher = RecordingPublisher()
        self.clock = Clock()
        log = logging.getLogger("test.loop")
        self.leads = True
        self.desired = DesiredState(self.store, ReadyInstances(self.store), Settings())
        self.loop = Loop(
            self.store,
            self.engine,
            self.publisher,
            self.desired,
            log=log,
            leads=lambda: self.leads,
            monotonic=self.clock,
        )

    def add_route(self, name: str = "iris") -> None:
        versions = {"1.0.0": VersionSpec(source="x")}
        self.store.put_route(
            name, RouteSpec(model=name, versions=versions, target=Target(version="1.0.0")), now=NOW, actor="test"
        )


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path)


def test_the_engine_ticks_when_the_store_changed(setup: Setup) -> None:
    setup.loop.turn()
    setup.add_route()
    setup.loop.turn()
    assert setup.engine.ticks == 2


def test_the_engine_does_not_tick_while_nothing_changes(setup: Setup) -> None:
    for _ in range(5):
        setup.loop.turn()
    assert setup.engine.ticks == 1


def test_the_engine_ticks_at_intervals_although_nothing_changed(setup: Setup) -> None:
    setup.loop.turn()
    setup.clock.now += RESYNC_S
    setup.loop.turn()
    assert setup.engine.ticks == 2


def test_a_change_during_a_tick_causes_another_tick(setup: Setup) -> None:
    setup.engine.during = lambda: setup.add_route() if setup.engine.ticks == 1 else None
    setup.loop.turn()
    setup.loop.turn()
    assert setup.engine.ticks == 2


def test_an_action_is_published_before_the_tick_of_all_routes(setup: Setup) -> None:
    setup.loop.turn()
    setup.add_route()
    setup.engine.urgent = ["iris.1"]
    setup.loop.turn()
    assert (setup.engine.ticks, len(setup.publisher.wanted)) == (1, 2)
    setup.loop.turn()
    assert setup.engine.ticks == 2


def test_a_long_tick_is_interrupted_for_actions(setup: Setup) -> None:
    def asked_meanwhile() -> None:
        setup.clock.now += 2 * URGENT_INTERVAL_S
        setup.add_route()
        setup.engine.urgent = ["iris.1"]

    setup.engine.during = asked_meanwhile
    setup.loop.turn()
    assert (setup.engine.ticks, len(setup.publisher.wanted), setup.publisher.steps) == (1, 2, 2)
    assert "iris" in str(setup.publisher.wanted[0].routes)


def test_continuous_actions_do_not_prevent_ticks(setup: Setup) -> None:
    setup.loop.turn()
    for number in range(4):
        setup.add_route(f"model-{number}")
        setup.engine.urgent = [f"model-{number}.1"]
        setup.clock.now += RESYNC_S / 2
        setup.loop.turn()
    assert setup.engine.ticks == 3


def test_the_publisher_steps_on_every_turn(setup: Setup) -> None:
    for _ in range(3):
        setup.loop.turn()
    assert setup.publisher.steps == 3


def test_a_model_without_a_ready_version_is_published_as_pending(setup: Setup) -> None:
    setup.add_route("iris")
    assert "iris has no version ready" in str(setup.desired.snapshot().routes)


def test_an_error_ends_a_turn_and_leaves_the_beat_unchanged(setup: Setup) -> None:
    setup.loop.turn()
    beat = setup.loop.beat

    def fail() -> None:
        raise errors.Unavailable("the store is locked")

    setup.engine.during = fail
    setup.clock.now += RESYNC_S
    with pytest.raises(errors.Unavailable):
        setup.loop.turn()
    assert setup.loop.beat == beat


def test_nothing_is_compiled_again_while_nothing_changed(setup: Setup) -> None:
    setup.add_route()
    for _ in range(3):
        setup.loop.turn()
        setup.clock.now += RESYNC_S
    first, *others = setup.publisher.wanted
    assert others
    assert all(one is first for one in others)


def test_a_follower_serves_what_is_published_and_decides_nothing(setup: Setup) -> None:
    setup.leads = False
    setup.loop.turn()
    assert (setup.engine.ticks, setup.publisher.steps, setup.publisher.follows) == (0, 0, 1)
    assert setup.loop.beat


def test_a_follower_that_becomes_the_leader_ticks_at_once(setup: Setup) -> None:
    setup.loop.turn()
    setup.leads = False
    setup.loop.turn()
    setup.leads = True
    setup.loop.turn()
    assert setup.engine.ticks == 2


def test_a_refused_snapshot_is_reported_and_the_gateways_are_still_polled(setup: Setup) -> None:
    setup.publisher.refusing = "it would remove every route"
    setup.loop.turn()
    assert setup.loop.refused == "it would remove every route"
    assert setup.publisher.steps == 1
    setup.publisher.refusing = ""
    setup.clock.now += RESYNC_S
    setup.loop.turn()
    assert setup.loop.refused == ""
