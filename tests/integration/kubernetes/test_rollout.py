"""The rollout engine on a real API server: whole releases, checked by the objects that users see with kubectl."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import pytest

from fairlead.contracts.action import Action, ActionType, Outcome
from fairlead.contracts.revision import Cause, Phase
from fairlead.contracts.route import RouteSpec, Step, Strategy, Target, VersionSpec
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import REVISIONS
from integration.kubernetes.engine_harness import EngineHarness
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


@pytest.fixture
def harness(api: Api, namespace: str) -> Iterator[EngineHarness]:
    """An engine with 1.0.0 serving and 1.1.0 deployed."""
    harness = EngineHarness(api, namespace)
    harness.store.put_route("iris", a_spec("1.0.0"), now=harness.now, actor="ada")
    for ref, address in ((OLD, "10.0.0.1"), (NEW, "10.0.0.2")):
        make_version(api, namespace, ref)
        make_slice(api, namespace, ref, {address: {"ready": True}})
    wait_until(lambda: len(harness.store.instances()) == 2, "both versions are ready")
    harness.engine.tick()
    yield harness
    harness.store.close()


def release(harness: EngineHarness) -> None:
    harness.store.put_route("iris", a_spec("1.1.0"), now=harness.now, actor="ada", reason="better")


def test_a_release_is_promoted_step_by_step_and_stays_ready(api: Api, namespace: str, harness: EngineHarness) -> None:
    release(harness)
    seen = []
    for _ in range(30):
        harness.go_on(5)
        seen.append((harness.object()["status"]["weight"], harness.condition("Ready")))
    assert [weight for weight, _ in groupby(weight for weight, _ in seen)] == [0, 500, 5000, 0]
    assert {ready for _, ready in seen} == {"True"}
    status = harness.object()["status"]
    assert (status["phase"], status["stable"]["version"]) == ("Stable", "1.1.0")
    causes = [one["spec"]["cause"] for one in api.list_whole(REVISIONS, namespace, "fairlead.dev/route=iris")]
    assert causes.count("promoted") == 1
    assert harness.store.verify("iris") is None


def test_a_restarted_control_plane_continues_the_rollout(harness: EngineHarness) -> None:
    release(harness)
    harness.go_on(15)
    weight, windows = harness.store.head("iris").table.weight, harness.store.windows("iris")  # type: ignore[union-attr]
    assert weight == 500
    assert windows
    harness.restart()
    assert harness.store.windows("iris") == windows
    harness.go_on(100)
    head = harness.store.head("iris")
    assert head is not None
    assert (head.table.stable, head.state.phase) == (NEW, Phase.STABLE)


def test_a_rollback_takes_one_tick_and_names_its_actor(harness: EngineHarness) -> None:
    release(harness)
    harness.go_on(15)
    action = Action(name="back", route="iris", type=ActionType.ROLLBACK, actor="ada", created_at=harness.now)
    harness.store.create_action(action)
    harness.engine.tick()
    head = harness.store.head("iris")
    assert head is not None
    assert (head.cause, head.actor, head.table.weight) == (Cause.ROLLED_BACK, "ada", 0)
    assert harness.store.action("back").outcome is Outcome.ACCEPTED
    harness.go_on(30)
    assert harness.object()["status"]["rejected"][0]["ref"]["version"] == "1.1.0"


def test_a_version_that_left_the_spec_is_removed_after_the_rollback_window(harness: EngineHarness) -> None:
    release(harness)
    harness.go_on(60)
    harness.store.put_route("iris", a_spec("1.1.0", versions={"1.1.0": TWO}), now=harness.now, actor="ada")
    harness.go_on(20)
    assert {row.ref for row in harness.store.wanted()} == {OLD, NEW}  # a rollback is still possible
    harness.go_on(60)
    wait_until(lambda: {row.ref for row in harness.store.wanted()} == {NEW}, "1.0.0 is gone")


def test_versions_in_the_spec_stay_even_without_traffic(harness: EngineHarness) -> None:
    harness.go_on(300)
    assert {row.ref for row in harness.store.wanted()} == {OLD, NEW}
