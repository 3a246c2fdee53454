import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.contracts.route import RouteSpec, Target, VersionSpec
from fairlead.control.desired_state import World as Compiled
from fairlead.control.endpoints import ReadyInstances
from fairlead.control.loop import URGENT_INTERVAL_S, RESYNC_S, Loop
from fairlead.routing.snapshot import Settings, Snapshot
from fairlead.store.sqlite import SqliteStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)


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
        self.urgent: list[str] = []

    def hurry(self) -> list[str]:
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


class World:
    def __init__(self, path: Path) -> None:
        self.store = SqliteStore(path / "ledger.db")
        self.engine = CountingEngine()
        self.publisher = RecordingPublisher()
        self.clock = Clock()
        log = logging.getLogger("test.loop")
        self.leads = True
        self.compiled = Compiled(self.store, ReadyInstances(self.store), Settings())
        self.loop = Loop(
            self.store,
            self.engine,
            self.publisher,
            self.compiled,
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
def world(tmp_path: Path) -> World:
    return World(tmp_path)


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


def test_what_people_ask_for_is_published_before_all_routes_are_looked_at(world: World) -> None:
    world.loop.turn()
    world.add_route()
    world.engine.urgent = ["iris.1"]
    world.loop.turn()
    assert (world.engine.ticks, len(world.publisher.wanted)) == (1, 2)
    world.loop.turn()
    assert world.engine.ticks == 2


def test_a_long_tick_is_interrupted_for_what_people_ask_for(world: World) -> None:
    def asked_meanwhile() -> None:
        world.clock.now += 2 * URGENT_INTERVAL_S
        world.add_route()
        world.engine.urgent = ["iris.1"]

    world.engine.during = asked_meanwhile
    world.loop.turn()
    assert (world.engine.ticks, len(world.publisher.wanted), world.publisher.steps) == (1, 2, 2)
    assert "iris" in str(world.publisher.wanted[0].routes)


def test_people_who_never_stop_asking_do_not_keep_the_engine_from_its_ticks(world: World) -> None:
    world.loop.turn()
    for number in range(4):
        world.add_route(f"model-{number}")
        world.engine.urgent = [f"model-{number}.1"]
        world.clock.now += RESYNC_S / 2
        world.loop.turn()
    assert world.engine.ticks == 3


def test_the_publisher_steps_on_every_turn(world: World) -> None:
    for _ in range(3):
        world.loop.turn()
    assert world.publisher.steps == 3


def test_a_model_without_a_ready_version_is_published_as_pending(world: World) -> None:
    world.add_route("iris")
    assert "iris has no version ready" in str(world.compiled.snapshot().routes)


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


def test_nothing_is_compiled_again_while_nothing_changed(world: World) -> None:
    world.add_route()
    for _ in range(3):
        world.loop.turn()
        world.clock.now += RESYNC_S
    first, *others = world.publisher.wanted
    assert others
    assert all(one is first for one in others)


def test_a_follower_shows_what_is_published_and_decides_nothing(world: World) -> None:
    world.leads = False
    world.loop.turn()
    assert (world.engine.ticks, world.publisher.steps, world.publisher.follows) == (0, 0, 1)
    assert world.loop.beat


def test_a_follower_that_becomes_the_leader_looks_at_everything_at_once(world: World) -> None:
    world.loop.turn()
    world.leads = False
    world.loop.turn()
    world.leads = True
    world.loop.turn()
    assert world.engine.ticks == 2


def test_a_wish_that_is_refused_is_told_and_the_gateways_are_still_listened_to(world: World) -> None:
    world.publisher.refusing = "not taking everything away"
    world.loop.turn()
    assert world.loop.refused == "not taking everything away"
    assert world.publisher.steps == 1
    world.publisher.refusing = ""
    world.clock.now += RESYNC_S
    world.loop.turn()
    assert world.loop.refused == ""
