"""What the page of a model shows of its status."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.health import health_of
from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Check, Phase, Rejected, Verdict
from fairlead.contracts.route import Step
from fairlead.contracts.status import Gateway, Status
from fairlead.control.console.route import MAX_INSTANCES, RoutePage, route_page
from unit.control.console.scene import CANDIDATE, NOW, PLACE, STABLE, a_status, an_instance

STEPS = (Step(weight=500), Step(weight=1000, approval=True), Step(weight=5000))


def page_of(status: Status, instances: tuple[Instance, ...] = ()) -> RoutePage:
    return route_page(status, STEPS, instances, PLACE, NOW)


def test_the_split_is_the_weights_and_what_was_really_got() -> None:
    stable, candidate = page_of(a_status(weight=1000, share=930)).arms
    assert (stable.version, stable.weight, stable.got, stable.start, stable.width) == ("1.0.0", "90 %", "91 %", 0, 90)
    assert (candidate.version, candidate.weight, candidate.got) == ("1.1.0", "10 %", "9 %")
    assert (candidate.start, candidate.width) == (90, 10)


def test_without_a_rollout_stable_has_everything_and_there_are_no_steps() -> None:
    page = page_of(a_status(weight=0))
    assert [(arm.version, arm.weight, arm.got) for arm in page.arms] == [("1.0.0", "100 %", "")]
    assert not page.steps
    assert not page.progress


@given(st.integers(1, 10_000), st.none() | st.integers(0, 10_000))
def test_the_arms_fill_the_bar(weight: int, got: int | None) -> None:
    stable, candidate = page_of(a_status(weight=weight, share=got)).arms
    assert stable.start == 0
    assert candidate.start == stable.width
    assert math.isclose(stable.width + candidate.width, 100)


def test_each_step_is_done_current_or_next() -> None:
    rows = page_of(a_status(weight=1000)).steps
    assert [(row.weight, row.state, row.approval) for row in rows] == [
        ("5 %", "done", ""),
        ("10 %", "current", "needs an approval"),
        ("50 %", "next", ""),
    ]


def test_a_gate_shows_its_evidence_as_a_part_of_its_threshold() -> None:
    numbers = {"log_harm": math.log(30), "harm_at": math.log(900), "log_safe": math.log(40), "safe_at": math.log(20)}
    check = Check(gate="errors", verdict=Verdict.PASS, reason="no harm seen", numbers=numbers)
    (gate,) = page_of(a_status(checks=(check,))).gates
    assert gate.harm is not None
    assert (gate.harm.value, gate.harm.threshold, gate.harm.effect) == ("30", "900", "rolls back")
    assert gate.harm.part == pytest.approx(0.5)
    assert not gate.harm.is_reached
    assert gate.safe is not None
    assert gate.safe.is_reached


def test_a_gate_that_is_no_test_has_no_meter() -> None:
    check = Check(gate="ready", verdict=Verdict.PASS, reason="1 instance is ready", numbers={"ready": 1})
    (gate,) = page_of(a_status(checks=(check,))).gates
    assert (gate.harm, gate.safe) == (None, None)


@given(st.floats(-100, 100), st.floats(-1, 100))
def test_no_evidence_is_drawn_outside_its_meter(log_e: float, threshold: float) -> None:
    check = Check(gate="errors", verdict=Verdict.PASS, reason="", numbers={"log_harm": log_e, "harm_at": threshold})
    (gate,) = page_of(a_status(checks=(check,))).gates
    assert gate.harm is None or 0 <= gate.harm.part <= 1


def test_instances_that_are_not_ready_come_first_and_say_why() -> None:
    waiting = an_instance(CANDIDATE, ready=False, reason="loading the model")
    silent = an_instance(ready=False).model_copy(update={"id": "default/iris/1.0.0/x/1"})
    rows = page_of(a_status(), (an_instance(), waiting, silent)).instances
    assert [(row.version, row.role, row.is_ready, row.why) for row in rows] == [
        ("1.0.0", "stable", False, "it has not reported why"),
        ("1.1.0", "candidate", False, "loading the model"),
        ("1.0.0", "stable", True, ""),
    ]


def test_of_many_instances_those_that_are_not_ready_are_shown() -> None:
    ready = tuple(an_instance().model_copy(update={"id": f"i{number}"}) for number in range(MAX_INSTANCES + 20))
    page = page_of(a_status(), (*ready, an_instance(CANDIDATE, ready=False)))
    assert (len(page.instances), page.more_instances) == (MAX_INSTANCES, 21)
    assert not page.instances[0].is_ready


def test_a_gateway_says_which_revision_it_serves_and_whether_that_is_the_newest() -> None:
    gateways = (
        Gateway(name="a", reachable=True, programmed=2),
        Gateway(name="b", reachable=True, programmed=1),
        Gateway(name="c", reachable=False, programmed=2),
        Gateway(name="d", reachable=True, rejected="a bad cluster"),
    )
    page = page_of(a_status(gateways=gateways))
    assert [(row.serves, row.state) for row in page.gateways] == [
        ("iris.2", "programmed"),
        ("iris.1", "behind"),
        ("iris.2", "unreachable"),
        ("nothing of this model", "rejected"),
    ]
    assert page.problems == ("gateway d rejected the configuration: a bad cluster",)


def test_a_model_that_is_down_shows_the_command_that_helps_with_the_platforms_options() -> None:
    page = page_of(a_status(ready=False))
    assert page.headline == "iris is down: 1.0.0 has no ready instance"
    assert page.since == "down 3m"
    assert page.command == f"{health_of(a_status(ready=False)).command} --state here"
    assert page.title == "iris: down"


def test_the_headline_has_no_running_time_because_it_is_read_aloud_when_it_changes() -> None:
    later = route_page(a_status(ready=False), STEPS, (), PLACE, NOW + timedelta(hours=5))
    assert later.headline == page_of(a_status(ready=False)).headline
    assert later.since != page_of(a_status(ready=False)).since


def test_a_reason_that_the_headline_gives_is_not_repeated() -> None:
    assert page_of(a_status(ready=False, waiting="1.0.0 has no ready instance")).waiting == ""
    assert page_of(a_status(waiting="step 1 of 3 holds for 30s")).waiting == "step 1 of 3 holds for 30s"


def test_a_route_without_a_status_says_what_it_waits_for() -> None:
    page = page_of(Status(route="iris", observed_generation=0, target=STABLE, waiting="the control plane"))
    assert (page.mark, page.phase, page.arms, page.revision) == ("unknown", "Starting", (), "")
    assert page.headline == "iris is unknown: the control plane"


def test_a_paused_rollout_says_so() -> None:
    assert page_of(a_status(paused=True, phase=Phase.CANARY)).phase == "Paused Canary"


def test_why_a_version_was_rejected_is_said_once() -> None:
    rejected = (Rejected(ref=CANDIDATE, revision=3, reason="it fails more often"),)
    waiting = "1.1.0 was rejected in revision iris.3 (it fails more often); release another version"
    assert page_of(a_status(weight=0, rejected=rejected, waiting=waiting)).problems == ()
    (problem,) = page_of(a_status(weight=0, rejected=rejected)).problems
    assert "it fails more often" in problem


def test_another_rejection_with_the_same_reason_is_not_taken_for_the_one_that_was_said() -> None:
    """Two versions that one person rolled back without a reason: only one of them was shown."""
    reason = "rolled back by ada"
    rejected = tuple(Rejected(ref=CANDIDATE, revision=number, reason=reason) for number in (3, 5))
    waiting = f"1.1.0 was rejected in revision iris.5 ({reason}); release another version"
    page = page_of(a_status(weight=0, rejected=rejected, waiting=waiting))
    assert page.problems == (f"rejected: {CANDIDATE} in revision iris.3: {reason}",)


def test_a_reason_that_is_a_word_of_the_waiting_line_hides_no_rejection() -> None:
    rejected = (Rejected(ref=CANDIDATE, revision=3, reason="errors"),)
    (problem,) = page_of(a_status(rejected=rejected, waiting="errors: 2.0.0 answered 3 of 40 badly")).problems
    assert problem == f"rejected: {CANDIDATE} in revision iris.3: errors"
