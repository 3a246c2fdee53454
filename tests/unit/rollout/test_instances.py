"""The engine over a real store: which instances should run, and how many."""

from __future__ import annotations

from fairlead.contracts.action import ActionType
from fairlead.contracts.revision import Cause
from unit.rollout.simulated_platform import Platform, at_step


class TestWanted:
    def test_a_version_that_left_the_spec_runs_until_no_gateway_sends_it_requests(self, platform: Platform) -> None:
        at_step(platform, 500)
        gone = platform.ref("1.1.0")
        platform.deploy(("1.0.0", "1.2.0"))
        platform.tick()
        assert platform.head.table.candidate is None
        assert gone in {row.ref for row in platform.store.wanted()}
        platform.acknowledge("e1")
        platform.tick()
        assert gone in {row.ref for row in platform.store.wanted()}
        platform.acknowledge()
        platform.tick()
        assert gone not in {row.ref for row in platform.store.wanted()}

    def test_the_previous_version_runs_through_the_rollback_window_though_it_left_the_spec(
        self, platform: Platform
    ) -> None:
        at_step(platform, 5000)
        platform.settle(6, 5)
        assert platform.head.cause is Cause.PROMOTED
        before = platform.head.state.previous
        platform.deploy(("1.1.0",), target="1.1.0")
        platform.settle(3)
        assert {row.ref.version for row in platform.store.wanted()} == {"1.0.0", "1.1.0"}
        platform.settle(2, 3600)
        assert before not in {row.ref for row in platform.store.wanted()}

    def test_a_deleted_routes_instances_go_when_no_gateway_serves_it(self, platform: Platform) -> None:
        platform.store.delete_route("iris")
        platform.tick()
        assert platform.store.wanted() != []
        platform.programmed = dict.fromkeys(platform.programmed, 0)
        platform.tick()
        assert platform.store.wanted() == []


class TestScales:
    def test_an_idle_version_gets_no_instances_and_a_release_gives_it_some_before_it_is_ready(
        self, platform: Platform
    ) -> None:
        platform.settle(2)
        new = platform.ref("1.1.0")
        assert platform.scaled == {platform.ref("1.0.0"): 1, new: 0, platform.ref("1.2.0"): 0}
        platform.turn(new, ready=False)
        platform.release("1.1.0")
        platform.tick()
        assert (platform.scaled[new], platform.head.table.weight) == (1, 0)

    def test_a_candidate_that_is_taken_back_ends_when_every_gateway_has_acknowledged(self, platform: Platform) -> None:
        at_step(platform, 500)
        platform.ask(ActionType.ROLLBACK)
        platform.tick()
        assert (platform.head.table.weight, platform.scaled[platform.ref("1.1.0")]) == (0, 1)
        platform.acknowledge("e1")
        platform.tick()
        assert platform.scaled[platform.ref("1.1.0")] == 1
        platform.acknowledge()
        platform.tick()
        assert platform.scaled[platform.ref("1.1.0")] == 0

    def test_the_version_before_ends_after_the_rollback_window_and_a_release_of_it_starts_it_again(
        self, platform: Platform
    ) -> None:
        at_step(platform, 5000)
        platform.settle(6, 5)
        old = platform.ref("1.0.0")
        assert (platform.head.cause, platform.scaled[old]) == (Cause.PROMOTED, 1)
        platform.settle(2, 3600)
        assert platform.scaled[old] == 0
        platform.release("1.0.0")
        platform.tick()
        assert platform.scaled[old] == 1

    def test_a_control_plane_that_is_started_again_scales_the_same(self, platform: Platform) -> None:
        at_step(platform, 500)
        platform.tick()
        before = dict(platform.scaled)
        platform.scaled.clear()
        platform.engine = platform.started()
        platform.tick()
        assert platform.scaled == before
