"""The conditions of a route's status: whether it serves, since when, and the most important reason first."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from fairlead.contracts.action import ActionType
from fairlead.contracts.health import Health, Mark, health_of
from fairlead.contracts.route import Strategy
from fairlead.contracts.status import Condition, Reason, Status
from fairlead.rollout.report import GATEWAY_AWAY_S
from fairlead.store.statuses import read_status
from fairlead.views import rollout
from unit.rollout.simulated_platform import START, STEPS, Platform, at_step


def status(platform: Platform) -> Status:
    found = read_status(platform.store, "iris")
    assert found is not None
    return found


def health(platform: Platform) -> Health:
    return health_of(status(platform))


def ready(platform: Platform) -> Condition:
    found = status(platform).condition("Ready")
    assert found is not None
    return found


def since(platform: Platform) -> datetime:
    found = ready(platform).since
    assert found is not None
    return found


@pytest.fixture
def canary() -> Platform:
    """1.1.0 has 5 % of the requests."""
    platform = Platform()
    platform.deploy(strategy=Strategy(steps=STEPS, min_requests=0))
    platform.settle()
    at_step(platform, 500)
    platform.tick()
    return platform


def test_a_route_whose_stable_version_serves_is_serving(platform: Platform) -> None:
    platform.tick()
    assert (health(platform).mark, ready(platform).reason) == (Mark.SERVING, Reason.SERVING)


def test_a_route_whose_stable_version_has_no_ready_instance_is_down_and_waits_for_that(platform: Platform) -> None:
    platform.turn(platform.ref("1.0.0"), ready=False)
    platform.tick(1)
    assert (health(platform).mark, ready(platform).reason) == (Mark.DOWN, Reason.NOTHING_READY)
    assert status(platform).waiting == "1.0.0 has no ready instance"


def test_a_route_that_is_down_says_what_its_candidate_still_answers(canary: Platform) -> None:
    canary.turn(canary.ref("1.0.0"), ready=False)
    canary.tick(1)
    assert (
        status(canary).waiting
        == "1.0.0 has no ready instance; 1.1.0 answers 5 % of the requests, the other 95 % get errors"
    )
    assert health(canary).command == "fairlead promote iris"


def test_a_changed_target_that_waits_for_stable_is_told_although_the_route_is_down(canary: Platform) -> None:
    canary.turn(canary.ref("1.0.0"), ready=False)
    canary.deploy(target="1.0.0", strategy=Strategy(steps=STEPS, min_requests=0))
    canary.tick(1)
    assert status(canary).waiting.startswith("the target is 1.0.0 now, but 1.1.0 keeps its 5 %, because 1.0.0 has no")


def test_the_time_of_a_condition_stays_until_its_status_changes(platform: Platform) -> None:
    platform.tick()
    began = since(platform)
    platform.tick(30)
    assert since(platform) == began, "it serves as before"
    platform.turn(platform.ref("1.0.0"), ready=False)
    platform.tick(30)
    went = since(platform)
    assert went == platform.now
    platform.tick(60)
    assert since(platform) == went, "down since then"
    platform.turn(platform.ref("1.0.0"), ready=True)
    platform.tick(1)
    assert since(platform) == platform.now


def test_a_status_in_which_only_time_passed_is_not_written_again(platform: Platform) -> None:
    platform.turn(platform.ref("1.0.0"), ready=False)
    platform.settle(2, 5)
    token = platform.store.change_token()
    platform.tick(5)
    assert platform.store.change_token() == token


def test_a_route_is_down_when_no_gateway_answers_for_longer_than_a_restart_takes(platform: Platform) -> None:
    platform.tick()
    platform.unreachable = {"e1", "e2"}
    platform.tick(GATEWAY_AWAY_S - 1)
    assert health(platform).mark is Mark.SERVING, "a gateway that restarts is no reason to wake somebody"
    platform.tick(1)
    assert (health(platform).mark, ready(platform).reason) == (Mark.DOWN, Reason.NO_GATEWAY)
    platform.unreachable = {"e1"}
    platform.tick(1)
    assert health(platform).mark is Mark.SERVING


def test_a_control_plane_that_has_just_started_gives_the_gateways_time_to_answer(platform: Platform) -> None:
    platform.tick()
    platform.wait(3600)
    platform.unreachable = {"e1", "e2"}
    platform.engine = platform.started()
    platform.tick(1)
    assert health(platform).mark is Mark.SERVING


def test_gateways_that_answer_without_the_routes_table_serve_nothing(platform: Platform) -> None:
    platform.tick()
    platform.programmed = {"e1": 0, "e2": 0}
    platform.tick(GATEWAY_AWAY_S)
    assert ready(platform).reason == Reason.NO_GATEWAY


def test_a_route_that_is_created_again_gives_the_gateways_time_to_get_its_table(platform: Platform) -> None:
    platform.tick()
    platform.store.delete_route("iris")
    platform.tick(3600)
    platform.deploy()
    platform.programmed = {"e1": 0, "e2": 0}
    platform.tick(1)
    assert health(platform).mark is Mark.SERVING
    platform.tick(GATEWAY_AWAY_S)
    assert ready(platform).reason == Reason.NO_GATEWAY


def test_fewer_ready_instances_than_the_spec_wants_are_degraded(platform: Platform) -> None:
    versions = dict(platform.route.spec.versions)
    versions["1.0.0"] = versions["1.0.0"].model_copy(update={"instances": 2})
    platform.change(versions=versions)
    platform.settle()
    first, _ = (row for row in platform.store.wanted() if row.ref == platform.ref("1.0.0"))
    platform.turn(platform.ref("1.0.0"), ready=True)
    platform.tick(1)
    assert health(platform).mark is Mark.SERVING
    platform.store.remove_instance(first.id)
    platform.tick(1)
    assert (health(platform).mark, health(platform).reason) == (Mark.DEGRADED, "1 of 2 instances of 1.0.0 are ready")
    assert ready(platform).reason == Reason.FEWER_READY, "which `kubectl get` shows"


def test_a_dead_candidate_is_told_before_the_time_of_the_step(canary: Platform) -> None:
    assert status(canary).waiting == "step 1 of 3 holds for 20s"
    canary.turn(canary.ref("1.1.0"), ready=False)
    canary.tick(1)
    assert status(canary).waiting == "ready: 1.1.0 has no ready instance; 1m are allowed"
    assert (health(canary).mark, health(canary).reason) == (
        Mark.DEGRADED,
        "1.1.0 has no ready instance; 1.0.0 answers its requests",
    )


def test_gateways_that_do_not_answer_are_told_before_the_time_of_the_step(canary: Platform) -> None:
    canary.unreachable = {"e1", "e2"}
    canary.tick(1)
    assert status(canary).waiting == "acknowledged: no gateway answers"


def test_times_are_those_of_the_engines_clock(platform: Platform) -> None:
    platform.tick()
    assert START <= since(platform) <= START + timedelta(minutes=10)


def test_a_rejected_version_that_could_serve_is_named_while_stable_is_down(platform: Platform) -> None:
    """1.1.0 was promoted and rolled back, and its instance still runs when 1.0.0 dies."""
    platform.deploy(strategy=Strategy(steps=(), min_requests=0))
    platform.settle()
    platform.release("1.1.0")
    for _ in range(20):
        platform.tick(10)
        platform.supervise()
        platform.acknowledge()
    assert platform.head.table.stable == platform.ref("1.1.0")
    platform.ask(ActionType.ROLLBACK, reason="wrong prices")
    platform.tick(1)
    back = platform.head
    assert (back.table.stable, health(platform).command) == (
        platform.ref("1.0.0"),
        "fairlead history iris --evidence",
    )
    platform.turn(platform.ref("1.0.0"), ready=False)
    platform.tick(1)
    why = f"1.0.0 has no ready instance; 1.1.0 is ready, but was rejected in revision {back.id} (wrong prices)"
    assert (health(platform).reason, health(platform).command) == (why, "fairlead rollback iris --to 1.1.0")


def test_a_rejected_candidate_that_was_never_stable_is_tried_again_while_stable_is_down(canary: Platform) -> None:
    canary.turn(canary.ref("1.0.0"), ready=False)
    canary.ask(ActionType.ROLLBACK, reason="wrong prices", even_if_down=True)
    canary.tick(1)
    canary.tick(1)
    assert "; 1.1.0 is ready, but was rejected in revision iris." in health(canary).reason
    assert health(canary).command == "fairlead retry iris"
    canary.ask(ActionType.RETRY)
    canary.tick(1)
    canary.tick(1)
    assert (health(canary).command, canary.head.table.weight) == ("fairlead promote iris", 0)


def inputs(platform: Platform) -> Condition:
    found = status(platform).condition("InputsDiffer")
    assert found is not None
    return found


def test_a_candidate_that_gets_other_rows_is_told_and_goes_on(canary: Platform) -> None:
    message = "1.1.0 gets other rows than 1.0.0"
    canary.inputs = Condition(type="InputsDiffer", status=True, reason=Reason.INPUTS_DIFFER, message=message)
    before = canary.head
    canary.tick()
    assert (inputs(canary).status, inputs(canary).reason) == (True, Reason.INPUTS_DIFFER)
    assert list(rollout.problems(status(canary), "")) == [message]
    assert not [one for one in status(canary).checks if "other rows" in one.reason]
    assert canary.head == before


def test_rows_that_nobody_compared_do_not_count_as_alike_and_are_no_problem(canary: Platform) -> None:
    assert (inputs(canary).reason, inputs(canary).message) == (Reason.NOT_COMPARED, "few rows")
    assert not list(rollout.problems(status(canary), ""))
    canary.inputs = Condition(type="InputsDiffer", status=False, reason=Reason.INPUTS_ALIKE)
    canary.tick()
    assert (inputs(canary).status, inputs(canary).reason) == (False, Reason.INPUTS_ALIKE)
    assert not list(rollout.problems(status(canary), ""))
