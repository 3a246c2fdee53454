"""Faults and wishes during a rollout of real processes: nothing rises because of a fault, and a wish that cannot start
ends nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from fairlead.cli import exit_codes
from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Cause, Phase, Revision
from fairlead.contracts.route import Step
from fairlead.contracts.status import Status
from support.platform import Platform, doublers, running_platform
from support.processes import wait_until

HALF = [{"weight": 5000, "minDuration": "300ms"}]
CAREFUL = [{"weight": 1000, "minDuration": "100ms", "approval": True}, {"weight": 5000, "minDuration": "100ms"}]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """`pair` has two instances of 1.0.0 and one of 1.1.0, which is not enough for all requests."""
    folder = tmp_path_factory.mktemp("platform")
    models = doublers(folder, "1.0.0", "1.1.0", model="pair", strategy={"steps": HALF, "minRequests": 0})
    models["pair"]["versions"]["1.0.0"]["instances"] = 2
    models |= doublers(folder, "1.0.0", "1.1.0", "1.2.0", model="wish", strategy={"steps": CAREFUL, "minRequests": 0})
    with running_platform(folder, models) as platform:
        yield platform


def instances(platform: Platform, model: str, version: str) -> list[Instance]:
    return [one for one in platform.store.instances() if (one.model, one.ref.version) == (model, version)]


def status_of(platform: Platform, revision: Revision) -> Status:
    """The status that describes this revision."""
    model = revision.route
    wait_until(lambda: (platform.store.status(model) or {}).get("seq") == revision.seq, f"{revision.id} has a status")
    return Status.model_validate(platform.store.status(model))


def test_an_instance_of_stable_that_is_killed_promotes_nobody(platform: Platform) -> None:
    platform.command("release", "pair", "1.1.0")
    platform.wait_for("pair", "half of the requests", weight=5000)
    needs = "capacity: 100 % needs 2 instances of 1.1.0 ready, there are 1"
    wait_until(lambda: (platform.store.status("pair") or {}).get("waiting") == needs, "it waits for capacity")
    before = platform.head("pair")
    victim = next(one for one in instances(platform, "pair", "1.0.0") if one.ready)
    assert victim.pid
    os.kill(victim.pid, signal.SIGKILL)

    def is_back() -> bool:
        again = next((one for one in instances(platform, "pair", "1.0.0") if one.id == victim.id), None)
        return again is not None and again.ready and again.pid != victim.pid

    wait_until(is_back, "the supervisor has restarted it")
    assert platform.head("pair") == before


def test_the_release_of_a_rejected_version_is_refused_and_the_rollout_in_progress_goes_on(platform: Platform) -> None:
    platform.command("release", "wish", "1.2.0")
    platform.wait_for("wish", "1.2.0 has the first step", candidate="1.2.0", weight=1000)
    platform.command("rollback", "wish", "--reason", "wrong on virginica")
    rejected = platform.head("wish")
    platform.command("release", "wish", "1.1.0")
    running = platform.wait_for("wish", "1.1.0 has the first step", candidate="1.1.0", weight=1000)
    platform.command("release", "wish", "1.2.0", expect=exit_codes.REFUSED)
    platform.command("release", "wish", "1.1.0")
    assert platform.head("wish") == running
    assert rejected.state.rejected[0].revision == rejected.seq


def test_a_spec_that_asks_for_a_rejected_version_ends_no_rollout_either(platform: Platform) -> None:
    """Helm and GitOps write the spec without asking."""
    running = platform.head("wish")
    (rejected,) = running.state.rejected
    route = platform.store.route("wish")
    target = route.spec.target.model_copy(update={"version": "1.2.0"})
    spec = route.spec.model_copy(update={"target": target})
    now = datetime.now(UTC)
    platform.store.put_route("wish", spec, now=now, actor="flux", annotations=route.annotations)
    wait_until(lambda: platform.head("wish").generation > running.generation, "the engine has read the spec")
    noted = platform.head("wish")
    assert (noted.cause, noted.table.weight, noted.state.phase) == (Cause.SPEC, 1000, Phase.CANARY)
    accepted = status_of(platform, noted).condition("TargetAccepted")
    assert accepted is not None
    assert (accepted.status, accepted.reason) == (False, "RolledBack")
    said = platform.command("wait", "wish", "--timeout", "5s", expect=exit_codes.ROLLED_BACK)
    assert said.startswith(f"wish: rolled back: 1.2.0 in revision wish.{rejected.revision}: wrong on virginica\n")


def test_changed_steps_are_a_revision_and_the_release_keeps_its_own_plan(platform: Platform) -> None:
    before, route = platform.head("wish"), platform.store.route("wish")
    plan = (Step(weight=1000, min_duration=0.1, approval=True),)
    strategy = route.spec.strategy.model_copy(update={"steps": plan})
    spec, now = route.spec.model_copy(update={"strategy": strategy}), datetime.now(UTC)
    platform.store.put_route("wish", spec, now=now, actor="flux", annotations=route.annotations)
    wait_until(lambda: platform.head("wish").seq > before.seq, "the engine has read the spec")
    noted = platform.head("wish")
    assert (
        "strategy.steps: 10 % for 100ms with approval, 50 % for 100ms -> 10 % for 100ms with approval" in noted.reason
    )
    assert (noted.cause, noted.table) == (Cause.SPEC, before.table)
    step = status_of(platform, noted).step
    assert step is not None
    assert (step.number, step.of, step.next_weight) == (1, 2, 5000)
    assert "next: 50 %" in platform.command("status", "wish")


def test_the_rollout_that_was_left_alone_is_promoted_and_the_rejected_target_starts_nothing(platform: Platform) -> None:
    platform.command("approve", "wish")
    done = platform.wait_for("wish", "1.1.0 serves", stable="1.1.0", candidate=None)
    assert done.state.phase is Phase.STABLE
    platform.command("release", "wish", "1.1.0")
    platform.command("wait", "wish", "--timeout", "10s")
    assert platform.head("wish").table.stable.version == "1.1.0"
