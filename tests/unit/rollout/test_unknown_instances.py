"""While the writer of the instances is silent, their rows raise no weight and roll nothing back."""

from __future__ import annotations

import pytest

from fairlead.contracts.revision import Cause, Phase
from fairlead.contracts.route import Step, Strategy, WarmUp
from unit.rollout.simulated_platform import Platform, at_step

WHY = "which instances are ready is not known: a test"
STRATEGY = Strategy(
    steps=(Step(weight=500, min_duration=5.0), Step(weight=5000, min_duration=5.0)),
    min_requests=0,
    warm_up=WarmUp(deadline=60.0, restart=60.0),
)


@pytest.fixture
def platform() -> Platform:
    platform = Platform()
    platform.deploy(("1.0.0", "1.1.0"), strategy=STRATEGY)
    platform.settle()
    return platform


def pass_without_supervisor(platform: Platform, seconds: int) -> None:
    platform.unknown = WHY
    for _ in range(seconds // 5):
        platform.tick(5)
        platform.acknowledge()


def waiting(platform: Platform) -> str:
    return str((platform.store.status("iris") or {})["waiting"])


def test_ready_rows_of_a_silent_supervisor_raise_no_weight(platform: Platform) -> None:
    at_step(platform, 500)
    pass_without_supervisor(platform, 120)
    assert (platform.head.table.weight, platform.head.state.phase) == (500, Phase.CANARY)
    assert WHY in waiting(platform)
    platform.unknown = ""
    platform.settle(30)
    assert platform.head.table.stable == platform.ref("1.1.0")


def test_rows_without_a_ready_instance_roll_nothing_back_while_they_may_be_old(platform: Platform) -> None:
    at_step(platform, 500)
    platform.turn(platform.ref("1.1.0"), ready=False)
    pass_without_supervisor(platform, 600)
    assert platform.head.table.weight == 500
    platform.unknown = ""
    platform.tick(5)
    assert platform.head.table.weight == 500, "the time in which nobody watched is no time without an instance"
    for _ in range(14):
        platform.tick(5)
        platform.acknowledge()
    assert platform.head.cause is Cause.ROLLED_BACK


def test_a_candidate_that_fails_its_users_is_rolled_back_all_the_same(platform: Platform) -> None:
    at_step(platform, 500)
    for _ in range(24):
        platform.serve(platform.ref("1.0.0"), 950)
        platform.serve(platform.ref("1.1.0"), 25, 25)
        pass_without_supervisor(platform, 5)
    assert platform.head.cause is Cause.ROLLED_BACK


def test_the_first_version_does_not_serve_on_old_rows() -> None:
    platform = Platform()
    platform.deploy(("1.0.0",))
    platform.tick()
    platform.supervise()
    pass_without_supervisor(platform, 30)
    assert platform.store.head("iris") is None
    assert waiting(platform) == WHY
