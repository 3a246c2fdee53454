"""Whole rollouts in virtual time: the decisions of the real engine, as frames and causes."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.contracts.parsing import parse
from fairlead.contracts.revision import Cause
from fairlead.contracts.scenario import Outcome, Scenario
from fairlead.rehearsal.frames import Frame, Run
from fairlead.rehearsal.scenario_files import BUILT_IN_NAMES, find
from fairlead.rehearsal.virtual.run import rehearse
from fairlead.rehearsal.virtual.simulation import play

STEPS = [{"weight": 1000, "minDuration": "30s"}, {"weight": 5000, "minDuration": "30s"}]
BAD = {"errors": 0.5}


def scenario(**changes: Any) -> Scenario:
    strategy = {"steps": STEPS, **changes.pop("strategy", {})}
    whole = {"name": "x", "duration": "3m", "load": 100, "expect": [{"never": "held"}], "strategy": strategy}
    return parse(Scenario, {**whole, **changes}, "x.yaml")


def played(**changes: Any) -> Run:
    return play(scenario(**changes), seed=1)


def at(found: Run, at_s: float) -> Frame:
    return [frame for frame in found.frames if frame.at_s <= at_s][-1]


def causes(found: Run) -> list[Cause]:
    return [revision.cause for revision in found.revisions]


@pytest.mark.parametrize("name", BUILT_IN_NAMES)
def test_the_expectations_of_a_built_in_scenario_hold(name: str) -> None:
    found = rehearse(find(name), seed=7)
    assert [(str(one.expectation), one.seen) for one in found.judgements if not one.held] == []


@pytest.mark.parametrize("name", ["five-percent-errors", "slow-candidate"])
def test_a_built_in_scenario_fails_without_its_fault(name: str) -> None:
    faulty = find(name)
    assert not rehearse(faulty.model_copy(update={"candidate": faulty.stable}), seed=7).held


def test_the_same_seed_gives_the_same_result_and_another_seed_does_not() -> None:
    short = scenario(candidate={"errors": 0.02}, duration="1m")
    once, again, other = (rehearse(short, seed=seed).to_json() for seed in (3, 3, 4))
    assert once == again
    assert once["requests"] != other["requests"]


def test_a_good_candidate_takes_every_step_on_time() -> None:
    found = played()
    assert causes(found) == [Cause.RELEASED, Cause.PINNED, Cause.STEP, Cause.STEP, Cause.PROMOTED]
    assert [at(found, at_s).weight for at_s in (0, 20, 45, 90)] == [0, 1000, 5000, 10_000]
    assert at(found, 90).outcome is Outcome.PROMOTED


def test_a_candidate_that_is_never_ready_is_rolled_back_at_its_deadline() -> None:
    found = played(candidate={"instances": 0}, strategy={"warmUp": {"deadline": "60s"}})
    assert at(found, 60).outcome is Outcome.HELD
    assert (at(found, 62).outcome, at(found, 62).gate) == (Outcome.ROLLED_BACK, "ready")
    assert max(frame.weight for frame in found.frames) == 0


def test_a_candidate_that_fails_the_golden_rows_gets_no_weight() -> None:
    found = played(candidate={"golden": False})
    assert (at(found, 30).outcome, at(found, 30).gate) == (Outcome.ROLLED_BACK, "smoke")
    assert found.counts.candidate_requests == 0


def test_too_few_instances_hold_the_weight_until_there_are_more() -> None:
    found = played(stable={"instances": 4}, events=[{"at": "1m30s", "candidate": {"instances": 4}}])
    assert (at(found, 80).weight, at(found, 80).gate) == (1000, "capacity")
    assert at(found, 100).weight == 5000


def test_an_incident_of_both_versions_causes_no_rollback() -> None:
    found = played(events=[{"at": "20s", "until": "50s", "both": {"errors": 0.3}}])
    assert at(found, 179).outcome is Outcome.PROMOTED
    assert found.counts.bad > 100


def test_a_fault_that_begins_late_is_still_found() -> None:
    found = played(events=[{"at": "50s", "candidate": BAD}])
    assert (at(found, 49).weight, at(found, 49).outcome) == (5000, Outcome.ADVANCING)
    assert (at(found, 70).outcome, at(found, 70).gate) == (Outcome.ROLLED_BACK, "errors")


def test_a_renamed_field_is_found_by_its_rejections() -> None:
    found = played(candidate={"rejections": 0.5})
    assert (at(found, 60).outcome, at(found, 60).gate) == (Outcome.ROLLED_BACK, "rejections")


def test_during_a_metrics_outage_a_bad_candidate_stays_and_a_person_can_end_it() -> None:
    outage = {"at": "0s", "fault": "metrics-outage"}
    found = played(candidate=BAD, events=[outage, {"at": "1m30s", "action": "rollback"}])
    assert (at(found, 89).weight, at(found, 89).outcome) == (1000, Outcome.HELD)
    assert (at(found, 90).weight, at(found, 90).outcome, at(found, 90).gate) == (0, Outcome.ROLLED_BACK, None)


def test_a_metrics_outage_can_cause_a_rollback() -> None:
    unavailable = {"hold": "30s", "then": "rollback"}
    outage = {"at": "20s", "fault": "metrics-outage"}
    found = played(events=[outage], strategy={"onMetricsUnavailable": unavailable})
    assert at(found, 45).outcome is Outcome.HELD
    assert "nothing could be counted for 30s" in at(found, 70).why


def test_a_control_plane_continues_after_an_outage_and_counts_it_as_a_gap() -> None:
    found = played(events=[{"at": "20s", "until": "80s", "fault": "control-plane-outage"}])
    assert {frame.weight for frame in found.frames if 20 <= frame.at_s < 80} == {1000}
    assert at(found, 179).outcome is Outcome.PROMOTED
    gaps = {window.gap for revision in found.revisions for window in revision.windows if window.gap}
    assert "the control plane was not watching" in gaps


def test_a_gateway_restart_is_a_gap() -> None:
    found = played(gateways=2, events=[{"at": "22s", "fault": "gateway-restart"}])
    gaps = {window.gap for revision in found.revisions for window in revision.windows if window.gap}
    assert any("gateway-1" in gap for gap in gaps)
    assert at(found, 179).outcome is Outcome.PROMOTED


def test_one_silent_gateway_of_two_stops_neither_counting_nor_steps() -> None:
    found = played(gateways=2, events=[{"at": "20s", "fault": "gateway-silent"}])
    assert at(found, 179).outcome is Outcome.PROMOTED


def test_a_silent_only_gateway_holds_the_weight() -> None:
    found = played(events=[{"at": "20s", "until": "2m", "fault": "gateway-silent"}])
    assert (at(found, 119).weight, at(found, 119).gate) == (1000, "acknowledged")


def test_a_step_waits_for_a_person_who_approves_pauses_and_resumes() -> None:
    steps = [{"weight": 1000, "minDuration": "10s", "approval": True}, {"weight": 5000, "minDuration": "10s"}]
    actions = [{"at": "60s", "action": "approve"}, {"at": "65s", "action": "pause"}, {"at": "2m", "action": "resume"}]
    found = played(strategy={"steps": steps}, events=actions)
    assert (at(found, 59).weight, at(found, 59).outcome) == (1000, Outcome.HELD)
    assert "approval" in at(found, 59).why
    assert (at(found, 110).weight, at(found, 110).outcome) == (5000, Outcome.HELD)
    assert at(found, 125).outcome is Outcome.PROMOTED


def test_a_retry_of_a_repaired_candidate_is_promoted() -> None:
    events = [{"at": "0s", "until": "60s", "candidate": BAD}, {"at": "70s", "action": "retry"}]
    found = played(events=events, duration="4m")
    assert (at(found, 60).outcome, at(found, 239).outcome) == (Outcome.ROLLED_BACK, Outcome.PROMOTED)


def test_the_load_changes_at_its_times() -> None:
    found = played(load=[{"rate": 0}, {"from": "2m", "rate": 10}])
    assert 450 <= found.counts.requests <= 760
    assert at(found, 119).gate == "errors"


@pytest.mark.parametrize("trouble", [{"errors": 1.0}, {"latency": {"median": "50s", "sigma": 0.1}}])
def test_an_incident_that_hits_both_for_two_minutes_rolls_nothing_back(trouble: dict[str, Any]) -> None:
    """The gateway ejects all instances of the candidate then, and not those of stable."""
    steps = [{"weight": 1000, "minDuration": "5m"}]
    events = [{"at": "1m", "until": "3m", "both": trouble}]
    found = played(strategy={"steps": steps}, load=20, duration="4m", events=events)
    assert Cause.ROLLED_BACK not in causes(found)


def test_two_versions_slower_than_two_seconds_are_promoted_without_an_error() -> None:
    slow = {"latency": {"median": "2500ms", "sigma": 0.2}}
    found = played(stable=slow, candidate=slow, load=10)
    assert (causes(found)[-1], found.counts.bad) == (Cause.PROMOTED, 0)


def test_a_candidate_that_hangs_is_rolled_back_and_the_reason_names_the_limit() -> None:
    found = played(candidate={"latency": {"median": "50s", "sigma": 0.1}}, load=20)
    assert (causes(found)[-1], found.counts.bad) == (Cause.ROLLED_BACK, 0)
    assert "took longer than perTry" in found.revisions[-1].reason


def test_a_limit_that_stable_does_not_keep_holds_the_weight_and_harms_nobody() -> None:
    slow = {"latency": {"median": "2500ms", "sigma": 0.2}}
    found = played(stable=slow, candidate=slow, load=10, timeouts={"request": "10s", "perTry": "2s"})
    assert found.frames[-1].outcome is Outcome.HELD
    assert (found.frames[-1].gate, found.counts.bad) == ("timeouts", 0)
