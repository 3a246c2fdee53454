"""The rollout engine over a real API server: whole releases, told by objects that people read with kubectl."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import pytest

from fairlead.contracts.action import Action, ActionType, Outcome
from fairlead.contracts.revision import Cause, Check, Phase, Verdict
from fairlead.contracts.route import RouteSpec, Step, Strategy, Target, VersionRef, VersionSpec
from fairlead.contracts.table import Table
from fairlead.rollout.ports import GatewayState, Reading
from fairlead.rollout.reconcile import Engine
from fairlead.store.kubernetes import KubernetesStore
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import REVISIONS, ROUTES
from integration.kubernetes.versions import make_slice, make_version
from support.processes import wait_until

ONE, TWO = (VersionSpec(image=f"registry/iris@sha256:{number}") for number in (1, 2))
OLD, NEW = ONE.ref("1.0.0"), TWO.ref("1.1.0")


def a_spec(target: str, *, versions: dict[str, VersionSpec] | None = None) -> RouteSpec:
    steps = (Step(weight=500, min_duration=20), Step(weight=5000, min_duration=20))
    return RouteSpec(
        model="iris",
        versions=versions or {"1.0.0": ONE, "1.1.0": TWO},
        target=Target(version=target),
        strategy=Strategy(steps=steps, rollback_window=60, min_requests=0),
    )


class World:
    """A gateway that serves whatever is last, golden rows that pass, a clock that is turned; the store is real."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._where = api, namespace
        self.now = datetime.now(UTC)
        self.store = self._store()
        self.engine = self._engine()

    def restart(self) -> None:
        """Another control plane, which knows only what was written."""
        self.store.close()
        self.store = self._store()
        self.engine = self._engine()

    def _store(self) -> KubernetesStore:
        store = KubernetesStore(*self._where, clock=lambda: self.now)
        store.start()
        store.wait_until_loaded(10)
        return store

    def _engine(self) -> Engine:
        return Engine(
            self.store,
            gateways=self,
            metrics=self,
            smoke=self,
            clock=lambda: self.now,
            monotonic=lambda: self.now.timestamp(),
            log=lambda line: None,
        )

    def gateways(self) -> Sequence[GatewayState]:
        head = self.store.head("iris")
        return [GatewayState("e1", True, {"iris": head.seq} if head else {})]

    def read(self) -> Sequence[Reading]:
        return [Reading("e1", self.now, {}, {}, self.now.timestamp())]  # can be read, and nobody to count

    def smoke(self, table: Table, ref: VersionRef) -> Check:
        return Check(gate="smoke", verdict=Verdict.PASS, reason="golden rows agree")

    def go_on(self, seconds: float) -> None:
        """Ticks as time goes by, five seconds each."""
        for _ in range(int(seconds // 5)):
            self.now += timedelta(seconds=5)
            self.engine.tick()

    def object(self) -> dict[str, Any]:
        """The route as kubectl shows it."""
        return self._where[0].get(ROUTES, self._where[1], "iris")

    def condition(self, kind: str) -> str:
        return str(next(one["status"] for one in self.object()["status"]["conditions"] if one["type"] == kind))


@pytest.fixture
def world(api: Api, namespace: str) -> Iterator[World]:
    """With 1.0.0 serving and 1.1.0 deployed."""
    world = World(api, namespace)
    world.store.put_route("iris", a_spec("1.0.0"), now=world.now, actor="ada")
    for ref, address in ((OLD, "10_0_0_1"), (NEW, "10_0_0_2")):
        make_version(api, namespace, ref)
        make_slice(api, namespace, ref, **{address: {"ready": True}})
    wait_until(lambda: len(world.store.instances()) == 2, "both versions are ready")
    world.engine.tick()
    yield world
    world.store.close()


def release(world: World) -> None:
    world.store.put_route("iris", a_spec("1.1.0"), now=world.now, actor="ada", reason="better")


def test_a_release_is_promoted_step_by_step_and_ready_all_the_while(api: Api, namespace: str, world: World) -> None:
    release(world)
    seen = []
    for _ in range(30):
        world.go_on(5)
        seen.append((world.object()["status"]["weight"], world.condition("Ready")))
    assert [weight for weight, _ in groupby(weight for weight, _ in seen)] == [0, 500, 5000, 0]
    assert {ready for _, ready in seen} == {"True"}
    status = world.object()["status"]
    assert (status["phase"], status["stable"]["version"]) == ("Stable", "1.1.0")
    causes = [one["spec"]["cause"] for one in api.list_whole(REVISIONS, namespace, "fairlead.dev/route=iris")]
    assert causes.count("promoted") == 1
    assert world.store.verify("iris") is None


def test_another_control_plane_goes_on_where_the_last_one_stood(world: World) -> None:
    release(world)
    world.go_on(15)
    weight, windows = world.store.head("iris").table.weight, world.store.windows("iris")  # type: ignore[union-attr]
    assert weight == 500
    assert windows
    world.restart()
    assert world.store.windows("iris") == windows
    world.go_on(100)
    head = world.store.head("iris")
    assert head is not None
    assert (head.table.stable, head.state.phase) == (NEW, Phase.STABLE)


def test_a_rollback_is_one_tick_and_names_who_asked(world: World) -> None:
    release(world)
    world.go_on(15)
    action = Action(name="back", route="iris", type=ActionType.ROLLBACK, actor="ada", created_at=world.now)
    world.store.create_action(action)
    world.engine.tick()
    head = world.store.head("iris")
    assert head is not None
    assert (head.cause, head.actor, head.table.weight) == (Cause.ROLLED_BACK, "ada", 0)
    assert world.store.action("back").outcome is Outcome.ACCEPTED
    world.go_on(30)
    assert world.object()["status"]["rejected"][0]["ref"]["version"] == "1.1.0"


def test_a_version_that_left_the_spec_goes_once_the_rollback_window_is_over(world: World) -> None:
    release(world)
    world.go_on(60)
    world.store.put_route("iris", a_spec("1.1.0", versions={"1.1.0": TWO}), now=world.now, actor="ada")
    world.go_on(20)
    assert {row.ref for row in world.store.wanted()} == {OLD, NEW}  # one command back is still possible
    world.go_on(60)
    wait_until(lambda: {row.ref for row in world.store.wanted()} == {NEW}, "1.0.0 is gone")


def test_versions_of_the_spec_stay_whatever_they_serve(world: World) -> None:
    world.go_on(300)
    assert {row.ref for row in world.store.wanted()} == {OLD, NEW}
