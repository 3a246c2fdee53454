"""Versions with `minInstances: 0`: when they become cold, when their instances stop, and what starts them."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.contracts.gateway import Role
from fairlead.contracts.health import Mark, health_of
from fairlead.contracts.revision import Cause, Phase
from fairlead.contracts.route import MirrorSpec, ScaleToZero, Strategy, VersionRef
from fairlead.store.statuses import read_status
from unit.rollout.simulated_platform import STEPS, Platform, at_step

AFTER_S = 10.0


@pytest.fixture
def platform() -> Platform:
    """1.0.0 serves; all versions may be cold after ten seconds."""
    return a_platform()


def a_platform(**spec: Any) -> Platform:
    platform = Platform()
    platform.deploy(("1.0.0", "1.1.0", "1.2.0"), "1.0.0")
    listed = platform.route.spec.versions
    may_be_cold = {name: one.model_copy(update={"min_instances": 0}) for name, one in listed.items()}
    platform.change(versions=may_be_cold, scale_to_zero=ScaleToZero(after=AFTER_S), **spec)
    platform.settle(3)
    return platform


def idle(platform: Platform, seconds: float = 3 * AFTER_S) -> None:
    for _ in range(round(seconds)):
        platform.settle(1)


def running(platform: Platform) -> set[VersionRef]:
    return {row.ref for row in platform.store.wanted() if not row.stopped}


def test_an_idle_version_is_held_by_every_gateway_before_its_instances_stop(platform: Platform) -> None:
    stable = platform.ref("1.0.0")
    idle(platform, AFTER_S - 4)
    assert stable not in platform.head.table.cold
    for _ in range(20):
        platform.tick(1)  # no gateway acknowledges
    head = platform.head
    assert stable in head.table.cold
    assert head.cause is Cause.COLD
    assert head.reason == "nobody used 1.0.0, 1.1.0, 1.2.0 for 10s: the next request starts it"
    assert stable in running(platform)
    idle(platform)
    assert running(platform) == set()
    assert not platform.ready(stable)


def test_a_version_that_is_used_is_not_cold_and_the_others_are(platform: Platform) -> None:
    for _ in range(40):
        platform.use(platform.ref("1.0.0"))
        platform.settle(1)
    assert {ref.version for ref in platform.head.table.cold} == {"1.1.0", "1.2.0"}
    assert {ref.version for ref in running(platform)} == {"1.0.0"}


def test_a_version_that_is_used_by_its_name_only_is_not_cold(platform: Platform) -> None:
    for _ in range(40):
        platform.use(platform.ref("1.1.0"), Role.DIRECT)
        platform.settle(1)
    assert {ref.version for ref in running(platform)} == {"1.1.0"}


def test_a_request_that_waits_starts_the_version_and_no_other(platform: Platform) -> None:
    idle(platform)
    platform.waiting.add(platform.ref("1.0.0"))
    platform.tick()
    assert {ref.version for ref in running(platform)} == {"1.0.0"}
    assert platform.ref("1.0.0") in platform.head.table.cold, "no instance is ready yet"
    platform.supervise()
    platform.tick()
    assert platform.head.cause is Cause.WOKEN
    assert {ref.version for ref in platform.head.table.cold} == {"1.1.0", "1.2.0"}


def ready_and_unfound(platform: Platform) -> VersionRef:
    """Requests wait for cold stable, whose instance is ready and which no gateway has found."""
    stable = platform.ref("1.0.0")
    idle(platform)
    platform.waiting.add(stable)
    platform.unfound.add(stable)
    platform.settle(5)
    assert platform.ready(stable)
    return stable


def test_requests_wait_until_every_gateway_has_found_an_instance(platform: Platform) -> None:
    stable = ready_and_unfound(platform)
    assert stable in platform.head.table.cold, "a gateway would answer that the version has no instance"
    platform.unfound.clear()
    platform.settle(1)
    assert platform.head.cause is Cause.WOKEN
    assert stable not in platform.head.table.cold


def test_a_new_leader_lets_no_request_go_before_it_has_read_what_gateways_have_found(platform: Platform) -> None:
    """With no reading of its own it took every version for found: requests met gateways without an instance."""
    stable = ready_and_unfound(platform)
    platform.engine = platform.started()
    platform.settle(5)
    assert stable in platform.head.table.cold


def test_a_candidate_gets_no_weight_before_every_gateway_has_found_a_cold_stable_version(platform: Platform) -> None:
    idle(platform)
    platform.unfound.add(platform.ref("1.0.0"))
    platform.release("1.1.0")
    platform.settle(60)
    assert platform.head.table.weight == 0
    platform.unfound.clear()
    platform.settle(60)
    assert platform.head.table.weight
    assert platform.ref("1.0.0") not in platform.head.table.cold


def test_a_cold_version_that_may_not_be_cold_any_more_is_started_and_found(platform: Platform) -> None:
    idle(platform)
    listed = platform.route.spec.versions
    platform.change(versions={name: one.model_copy(update={"min_instances": None}) for name, one in listed.items()})
    platform.settle(5)
    assert platform.head.table.cold == ()


def test_a_request_that_comes_while_the_instances_stop_waits_for_new_ones(platform: Platform) -> None:
    stable = platform.ref("1.0.0")
    for _ in range(60):  # until the instances should stop; nothing has stopped them yet
        platform.tick(1)
        platform.acknowledge()
        if stable not in running(platform):
            break
    assert platform.ready(stable), "the supervisor has not looked yet"
    platform.waiting.add(stable)
    platform.tick(1)
    assert stable in platform.head.table.cold, "an instance that is about to end was taken for a new one"
    assert stable not in running(platform)
    platform.settle(4)
    assert stable not in platform.head.table.cold
    assert platform.ready(stable)


def test_nothing_becomes_cold_while_it_is_not_known_which_instances_are_ready(platform: Platform) -> None:
    platform.unknown = "the supervisor does not answer"
    idle(platform)
    assert platform.head.table.cold == ()


def test_nothing_becomes_cold_where_the_spec_does_not_say_so() -> None:
    platform = Platform()
    platform.deploy(("1.0.0", "1.1.0"), "1.0.0")
    platform.settle(3)
    before = platform.head
    idle(platform, 700)
    assert platform.head == before


def test_a_restarted_control_plane_starts_no_cold_version(platform: Platform) -> None:
    idle(platform)
    platform.engine = platform.started()
    platform.settle(3)
    assert running(platform) == set()
    assert platform.ref("1.0.0") in platform.head.table.cold


def test_a_release_starts_a_cold_stable_version_before_the_candidate_gets_weight(platform: Platform) -> None:
    idle(platform)
    platform.release("1.1.0")
    for _ in range(60):
        platform.settle(1)
        if platform.head.table.weight:
            break
    head = platform.head
    assert head.table.weight == STEPS[0].weight
    assert not set(head.table.cold) & {platform.ref("1.0.0"), platform.ref("1.1.0")}
    assert {ref.version for ref in running(platform)} == {"1.0.0", "1.1.0"}


def test_neither_version_of_a_rollout_becomes_cold(platform: Platform) -> None:
    at_step(platform, 500)
    idle(platform, 15)
    assert not set(platform.head.table.cold) & {platform.ref("1.0.0"), platform.ref("1.1.0")}


def test_stable_and_the_version_before_stay_for_the_rollback_window() -> None:
    platform = a_platform(strategy=Strategy(steps=(), min_requests=0, rollback_window=100.0))
    platform.release("1.1.0")
    platform.settle(20)
    assert platform.head.table.stable == platform.ref("1.1.0")
    idle(platform, 60)
    assert {ref.version for ref in running(platform)} == {"1.0.0", "1.1.0"}
    idle(platform, 100)
    assert running(platform) == set()


def test_a_mirrored_version_is_never_cold() -> None:
    platform = a_platform(mirrors=(MirrorSpec(version="1.2.0"),))
    idle(platform)
    assert {ref.version for ref in running(platform)} == {"1.2.0"}


def test_a_cold_model_is_ready_and_every_view_says_that_it_is_cold(platform: Platform) -> None:
    idle(platform)
    status = read_status(platform.store, "iris")
    assert status is not None
    assert status.phase is Phase.STABLE
    health = health_of(status)
    assert (health.mark, health.serves) == (Mark.COLD, True)
    assert health.reason == "1.0.0 is cold: the next request starts it"
    wanted = {one.ref.version: (one.instances, one.reason) for one in status.wanted}
    assert wanted["1.0.0"] == (0, "nobody uses it: it is cold, and the next request starts it")
