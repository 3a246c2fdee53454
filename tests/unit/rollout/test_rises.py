"""No fault makes a rise easier: instances, gateways and readings that go away while a rollout holds."""

from __future__ import annotations

import pytest

from fairlead.contracts.revision import Cause, Phase
from fairlead.contracts.route import Step, Strategy, VersionSpec
from unit.rollout.simulated_platform import Platform, at_step

HALF = Strategy(steps=(Step(weight=5000, min_duration=5.0),), min_requests=0)
THREE = tuple(Step(weight=weight, min_duration=5.0) for weight in (500, 2500, 5000))


def waiting(platform: Platform) -> str:
    return str((platform.store.status("iris") or {})["waiting"])


def lose_one(platform: Platform, version: str) -> None:
    """One more instance of this version is not ready."""
    ref = platform.ref(version)
    instance = next(one for one in platform.store.instances() if one.ref == ref and one.ready)
    platform.store.report(instance.model_copy(update={"ready": False}))


def wait_without_repair(platform: Platform, seconds: int) -> None:
    """Time passes: gateways acknowledge, and nobody restarts an instance."""
    for _ in range(seconds // 5):
        platform.tick(5)
        platform.acknowledge(*(name for name in platform.programmed if name not in platform.unreachable))


class TestInstances:
    @pytest.fixture
    def platform(self) -> Platform:
        """Stable has two instances, the candidate has one, and half of the requests: the promotion needs two."""
        platform = Platform()
        platform.deploy(("1.0.0", "1.1.0"), strategy=HALF)
        two = VersionSpec(source="/m/1.0.0", artifact="1.0.0", instances=2)
        platform.change(versions={**platform.route.spec.versions, "1.0.0": two})
        platform.settle()
        at_step(platform, 5000)
        platform.settle(4, 5)
        assert waiting(platform) == "capacity: 100 % needs 2 instances of 1.1.0 ready, there are 1"
        return platform

    def test_an_instance_of_stable_that_fails_promotes_nobody(self, platform: Platform) -> None:
        lose_one(platform, "1.0.0")
        wait_without_repair(platform, 60)
        assert (platform.head.state.phase, platform.head.table.weight) == (Phase.CANARY, 5000)
        assert waiting(platform) == "capacity: 100 % needs 2 instances of 1.1.0 ready, there are 1"

    def test_nor_after_a_restart_of_the_engine(self, platform: Platform) -> None:
        lose_one(platform, "1.0.0")
        platform.engine = platform.started()
        wait_without_repair(platform, 60)
        assert platform.head.table.weight == 5000

    def test_nor_where_nobody_knows_how_many_stable_should_have(self, platform: Platform) -> None:
        # Managed elsewhere: no folder in the spec, and no wanted rows.
        elsewhere = {
            name: one.model_copy(update={"source": None}) for name, one in platform.route.spec.versions.items()
        }
        platform.change(versions=elsewhere)
        platform.store.want([])
        wait_without_repair(platform, 5)
        lose_one(platform, "1.0.0")
        wait_without_repair(platform, 60)
        assert (platform.store.wanted(), platform.head.table.weight) == ([], 5000)

    def test_nor_before_the_first_window_of_an_attempt(self) -> None:
        """Nobody knows how many stable should have, and one of its two instances fails right after the release."""
        platform = Platform()
        platform.deploy(("1.0.0", "1.1.0"), strategy=Strategy(steps=(), min_requests=0))
        two = VersionSpec(source="/m/1.0.0", artifact="1.0.0", instances=2)
        platform.change(versions={**platform.route.spec.versions, "1.0.0": two})
        platform.settle()
        versions = platform.route.spec.versions
        platform.change(versions={name: one.model_copy(update={"source": None}) for name, one in versions.items()})
        platform.store.want([])
        platform.release("1.1.0")
        platform.tick()
        lose_one(platform, "1.0.0")
        platform.acknowledge()
        for _ in range(3):
            platform.tick(0.5)
            platform.acknowledge()
        assert platform.head.cause is Cause.RELEASED
        assert waiting(platform) == "capacity: 100 % needs 2 instances of 1.1.0 ready, there are 1"

    def test_stable_that_is_scaled_in_on_purpose_lowers_the_need(self, platform: Platform) -> None:
        one = platform.route.spec.versions["1.0.0"].model_copy(update={"instances": 1})
        platform.change(versions={**platform.route.spec.versions, "1.0.0": one})
        wait_without_repair(platform, 10)
        assert (platform.head.cause, platform.head.table.stable.version) == (Cause.PROMOTED, "1.1.0")

    def test_stable_that_is_scaled_out_raises_the_need_in_the_same_tick(self, platform: Platform) -> None:
        spec = platform.route.spec
        more = {name: one.model_copy(update={"instances": 2}) for name, one in spec.versions.items()}
        more["1.0.0"] = more["1.0.0"].model_copy(update={"instances": 3})
        platform.change(versions=more)
        platform.settle(6, 5)
        assert waiting(platform) == "capacity: 100 % needs 3 instances of 1.1.0 ready, there are 2"


class TestGateways:
    @pytest.fixture
    def platform(self) -> Platform:
        """1.1.0 has 25 %, the step's time is over, and gateway e2 does not serve the head yet."""
        platform = Platform()
        platform.deploy(("1.0.0", "1.1.0"), strategy=Strategy(steps=THREE, min_requests=0))
        platform.settle()
        at_step(platform, 500)
        for _ in range(4):
            platform.tick(5)
            platform.acknowledge("e1")
        assert waiting(platform) == "acknowledged: e2 does not serve iris.4 yet"
        return platform

    def test_a_gateway_that_is_behind_and_falls_silent_holds_for_a_minute(self, platform: Platform) -> None:
        platform.unreachable = {"e2"}
        wait_without_repair(platform, 50)
        assert platform.head.table.weight == 2500
        assert waiting(platform).startswith("acknowledged: e2 stopped answering before it served iris.4; the others")
        wait_without_repair(platform, 15)
        assert platform.head.table.weight != 2500, "it goes on without the gateway"

    def test_a_gateway_that_is_behind_and_is_gone_from_the_list_holds_for_a_minute(self, platform: Platform) -> None:
        del platform.programmed["e2"]
        wait_without_repair(platform, 50)
        assert platform.head.table.weight == 2500
        wait_without_repair(platform, 15)
        assert platform.head.table.weight != 2500, "it goes on without the gateway"

    def test_an_engine_that_starts_counts_the_minute_from_its_start(self, platform: Platform) -> None:
        platform.unreachable = {"e2"}
        wait_without_repair(platform, 50)
        platform.engine = platform.started()
        wait_without_repair(platform, 50)
        assert platform.head.table.weight == 2500

    def test_time_that_nobody_observed_is_no_part_of_the_minute(self, platform: Platform) -> None:
        platform.unreachable = {"e2"}
        wait_without_repair(platform, 5)
        platform.tick(600)
        assert platform.head.table.weight == 2500

    def test_a_new_gateway_that_never_answered_holds_nothing(self, platform: Platform) -> None:
        platform.acknowledge("e2")
        platform.programmed["e3"], platform.unreachable = 0, {"e3"}
        platform.tick(1)
        assert platform.head.table.weight != 2500, "it goes on without the gateway"
