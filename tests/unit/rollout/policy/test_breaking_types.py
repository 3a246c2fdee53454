"""A version whose types break clients of stable waits at 0 % until somebody has accepted that."""

from __future__ import annotations

import pytest

from fairlead.contracts.health import health_of
from fairlead.contracts.labels import ACCEPT_BREAKING
from fairlead.contracts.revision import Cause, Check, Phase, Verdict
from fairlead.contracts.route import Route, ShadowSpec
from fairlead.contracts.status import Reason, Status
from fairlead.rollout.policy import action_answers
from fairlead.rollout.policy.decide import decide
from fairlead.rollout.report import report
from unit.rollout.policy.builders import (
    RETRY,
    V2,
    a_route,
    a_strategy,
    after,
    an_action,
    canary,
    carried_out,
    preparing,
    rejected,
    seen,
    waits,
)

ASKED = "1 golden rows answered as expected through the gateway; for its clients, 1.1.0 changes the types of 1.0.0: "
BREAKS = Check(
    gate="smoke",
    verdict=Verdict.PASS,
    reason=f"{ASKED}breaking: row.x: required now",
    numbers={"rows": 1, "breaking": 1},
)
SAFE = Check(gate="smoke", verdict=Verdict.PASS, reason=f"{ASKED}safe: row.x: optional now", numbers={"rows": 1})


def accepted(version: str, **spec: object) -> Route:
    return a_route(**spec).model_copy(update={"annotations": {ACCEPT_BREAKING: version}})  # type: ignore[arg-type]


@pytest.mark.parametrize("route", [a_route(), accepted("1.2.0")], ids=["nothing accepted", "another one accepted"])
def test_it_gets_no_users_and_the_command_that_accepts_it_is_named(route: Route) -> None:
    waiting = waits(route, preparing(), seen(5, smoke=BREAKS))
    assert waiting.startswith("smoke: 1.1.0 breaks clients of 1.0.0 and gets no users until that is accepted: ")
    assert "`fairlead release iris 1.1.0 --accept-breaking`" in waiting
    assert waiting.endswith("breaking: row.x: required now")


def test_it_gets_no_mirrored_requests_either() -> None:
    route = a_route(strategy=a_strategy(shadow=ShadowSpec()))
    assert "breaks clients" in waits(route, preparing(), seen(5, smoke=BREAKS))


def test_once_it_is_accepted_the_first_step_begins_and_its_evidence_says_so() -> None:
    world = seen(5, smoke=BREAKS)
    taken = after(accepted("1.1.0"), preparing(), world)
    step = after(accepted("1.1.0"), taken, seen(5, smoke=BREAKS, acked=taken.seq))
    assert (step.cause, step.table.candidate, step.state.phase) == (Cause.STEP, V2, Phase.CANARY)
    (smoke,) = (one for one in step.evidence if one.gate == "smoke")
    assert smoke.reason == f"its breaking types were accepted; {BREAKS.reason}"


def test_who_accepted_them_and_why_is_a_revision_of_its_own() -> None:
    text = "1.1.0 after iris.7 by system:serviceaccount:ci:bot because all clients moved"
    taken = after(accepted(text), preparing(), seen(5, smoke=BREAKS))
    assert (taken.cause, taken.state.phase, taken.table.weight) == (Cause.SPEC, Phase.PREPARING, 0)
    assert (taken.actor, taken.actor_verified) == ("system:serviceaccount:ci:bot", False)
    assert taken.reason == "the breaking types of 1.1.0 are accepted (all clients moved)"
    assert taken.evidence == (BREAKS,)


def test_a_bare_version_is_accepted_by_nobody_whom_the_ledger_could_name() -> None:
    taken = after(accepted("1.1.0"), preparing(), seen(5, smoke=BREAKS))
    assert taken.actor == "fairlead"
    assert taken.reason == "the breaking types of 1.1.0 are accepted; the annotation does not say by whom"


def test_what_breaks_nobody_needs_no_acceptance_in_the_ledger() -> None:
    assert after(accepted("1.1.0"), preparing(), seen(5, smoke=SAFE)).cause is Cause.STEP


def test_an_acceptance_counts_for_one_attempt_so_a_retry_asks_again() -> None:
    route, world = accepted("1.1.0 after iris.6 by ada"), seen(5, smoke=BREAKS)
    taken = after(route, preparing(), world)
    back = canary(seq=taken.seq, accepted=taken.state.accepted, phase=Phase.STABLE, rejected=rejected())
    again = carried_out(route, back, world, an_action(RETRY))
    assert (again.state.phase, again.state.attempt) == (Phase.PREPARING, taken.state.attempt + 1)
    answer = action_answers.accepted(again, an_action(RETRY), world)
    assert "accepted for attempt 3 only: it waits at 0 % for `fairlead release iris 1.1.0 --accept-breaking`" in answer
    waiting = waits(route, again, world)
    assert "`fairlead release iris 1.1.0 --accept-breaking`" in waiting
    assert "what its annotation says was for attempt 3" in waiting
    anew = accepted(f"1.1.0 after {again.id} by ada")
    assert after(anew, again, world).state.accepted != taken.state.accepted


def test_safe_changes_wait_for_nobody() -> None:
    assert after(a_route(), preparing(), seen(5, smoke=SAFE)).cause is Cause.STEP


def test_accepted_types_do_not_excuse_a_wrong_answer() -> None:
    wrong = Check(gate="smoke", verdict=Verdict.FAIL, reason="golden row 1: 0.2 is not 0.3")
    assert after(accepted("1.1.0"), preparing(), seen(5, smoke=wrong)).cause is Cause.ROLLED_BACK


def test_the_status_says_that_it_waits_for_a_person_and_names_the_command() -> None:
    route, head, world = a_route(), preparing(), seen(5, smoke=BREAKS)
    status = Status.model_validate(report(route, head, world, decide(route, head, world, ())))
    progressing = status.condition("Progressing")
    assert progressing is not None
    assert (progressing.status, progressing.reason) == (False, Reason.BREAKING_TYPES)
    assert health_of(status).command == "fairlead release iris 1.1.0 --accept-breaking"
