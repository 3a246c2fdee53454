import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.contracts.instance import Instance
from fairlead.contracts.route import RouteSpec, Target, VersionRef, VersionSpec
from fairlead.control.loop import RESYNC_S, Loop, endpoints
from fairlead.routing.snapshot import Endpoint, Settings, Snapshot
from fairlead.store.sqlite import SqliteStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REF = VersionRef(version="1.0.0", identity="0123456789")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class CountingEngine:
    """Counts its ticks; may do something during one, or fail."""

    def __init__(self) -> None:
        self.ticks = 0
        self.during: Callable[[], object] = lambda: None

    def tick(self) -> None:
        self.ticks += 1
        self.during()


class RecordingPublisher:
    def __init__(self) -> None:
        self.wanted: list[Snapshot] = []
        self.steps = 0

    def want(self, snapshot: Snapshot) -> None:
        self.wanted.append(snapshot)

    def step(self) -> None:
        self.steps += 1


class World:
    def __init__(self, path: Path) -> None:
        self.store = SqliteStore(path / "ledger.db")
        self.engine = CountingEngine()
        self.publisher = RecordingPublisher()
        self.clock = Clock()
        log = logging.getLogger("test.loop")
        self.loop = Loop(self.store, self.engine, self.publisher, Settings(), log=log, monotonic=self.clock)

    def add_route(self, name: str = "iris") -> None:
        versions = {"1.0.0": VersionSpec(source="x")}
        self.store.put_route(
            name, RouteSpec(model=name, versions=versions, target=Target(version="1.0.0")), now=NOW, actor="test"
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def instance(port: int, *, ready: bool) -> Instance:
    return Instance(id=f"i{port}", model="iris", ref=REF, host="127.0.0.1", port=port, ready=ready, observed_at=NOW)


def test_the_engine_ticks_when_somebody_wrote(world: World) -> None:
    world.loop.turn()
    world.add_route()
    world.loop.turn()
    assert world.engine.ticks == 2


def test_the_engine_rests_while_nothing_changes(world: World) -> None:
    for _ in range(5):
        world.loop.turn()
    assert world.engine.ticks == 1


def test_the_engine_ticks_now_and_then_although_nothing_changed(world: World) -> None:
    world.loop.turn()
    world.clock.now += RESYNC_S
    world.loop.turn()
    assert world.engine.ticks == 2


def test_what_was_written_during_a_tick_is_looked_at_again(world: World) -> None:
    world.engine.during = lambda: world.add_route() if world.engine.ticks == 1 else None
    world.loop.turn()
    world.loop.turn()
    assert world.engine.ticks == 2


def test_the_publisher_steps_on_every_turn(world: World) -> None:
    for _ in range(3):
        world.loop.turn()
    assert world.publisher.steps == 3


def test_a_model_without_a_ready_version_is_published_as_pending(world: World) -> None:
    world.add_route("iris")
    assert "iris has no version ready" in str(world.loop.snapshot().routes)


def test_an_error_ends_a_turn_and_not_the_beat_before(world: World) -> None:
    world.loop.turn()
    beat = world.loop.beat

    def fail() -> None:
        raise errors.Unavailable("the store is locked")

    world.engine.during = fail
    world.clock.now += RESYNC_S
    with pytest.raises(errors.Unavailable):
        world.loop.turn()
    assert world.loop.beat == beat


def test_only_ready_instances_are_endpoints() -> None:
    found = endpoints([instance(9002, ready=True), instance(9001, ready=True), instance(9003, ready=False)])
    assert found == {("default", "iris", REF): [Endpoint("127.0.0.1", 9001), Endpoint("127.0.0.1", 9002)]}
