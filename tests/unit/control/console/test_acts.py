"""Which buttons a page has, and what each one stands for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.contracts.action import ActionType
from fairlead.contracts.revision import Phase
from fairlead.contracts.status import Condition, Reason, Status
from fairlead.control.console.acts import Act, acts, asked
from unit.control.console.scene import CANDIDATE, STABLE, a_revision, a_status


def offered(status: Status, *, weight: int = 1000, generation: int = 1) -> dict[str, Act]:
    found = acts(status, a_revision(2, weight=weight), generation)
    assert len({act.verb for act in found}) == len(found)  # the identifiers of the page are their verbs
    return {act.verb: act for act in found}


def with_condition(kind: str, reason: Reason, *, holds: bool = True, **more: Any) -> Status:
    plain = a_status(**more)
    condition = Condition(type=kind, status=holds, reason=reason)
    return plain.model_copy(update={"conditions": (*plain.conditions, condition)})


def test_a_rollout_can_be_paused_rolled_back_and_promoted() -> None:
    assert set(offered(a_status())) == {"pause", "rollback", "promote"}


def test_a_step_that_waits_for_an_approval_can_be_approved() -> None:
    status = with_condition("Progressing", Reason.AWAITING_APPROVAL)
    assert offered(status)["approve"].label == "Approve step 1"


def test_a_paused_rollout_can_be_resumed_and_not_paused() -> None:
    assert set(offered(a_status(paused=True))) == {"resume", "rollback", "promote"}


def test_a_promotion_needs_a_yes_and_says_that_it_skips_the_gates_where_stable_serves() -> None:
    served, down = (offered(a_status(stable_ready=count))["promote"] for count in (1, 0))
    assert (served.needs_yes, down.needs_yes) == (True, True)
    assert asked(served.value)["evenIfStableServes"] is True
    assert "evenIfStableServes" not in asked(down.value)
    assert "skipped" in served.effect


def test_at_rest_the_last_promotion_can_be_undone_and_no_more() -> None:
    rest: dict[str, Any] = {"weight": 0, "phase": Phase.STABLE}
    assert set(offered(a_status(previous=CANDIDATE, stable_ready=1, **rest), weight=0)) == {"rollback"}
    assert offered(a_status(previous=STABLE, stable_ready=1, **rest), weight=0) == {}


def test_after_a_rollback_the_target_can_be_tried_again_and_no_further_version_is_left() -> None:
    rest: dict[str, Any] = {"weight": 0, "phase": Phase.STABLE, "previous": CANDIDATE, "stable_ready": 1}
    status = with_condition("TargetAccepted", Reason.REJECTED, holds=False, **rest)
    assert set(offered(status, weight=0)) == {"retry"}


def test_a_stable_that_is_down_can_be_left_for_a_version_that_is_ready() -> None:
    status = a_status(weight=0, phase=Phase.STABLE, stable_ready=0, returnable=("0.9.0",))
    assert asked(offered(status, weight=0)["rollback"].value)["toRevision"] == "0.9.0"


def test_every_request_is_for_the_attempt_and_the_step_that_the_page_shows() -> None:
    status = with_condition("Progressing", Reason.AWAITING_APPROVAL)
    assert asked(offered(status)["approve"].value) == {"type": "approve", "attempt": 1, "step": 0}
    assert asked(offered(status)["rollback"].value) == {"type": "rollback", "attempt": 1}


def test_what_lowers_the_weight_is_for_a_release_that_waits_for_the_engine_too() -> None:
    found = offered(a_status(), generation=2)
    assert asked(found["rollback"].value)["generation"] == 2
    assert "generation" not in asked(found["promote"].value)


@given(st.text())
def test_no_text_is_a_request_unless_it_is_one_of_a_page(text: str) -> None:
    with pytest.raises(errors.Invalid, match="no request of a page"):
        asked(text)


@pytest.mark.parametrize(
    "value",
    [
        "type=rollback",
        "type=explode&attempt=1",
        "type=rollback&attempt=1&actor=eve",
        "type=rollback&attempt=-1",
        "type=rollback&attempt=99999999999999999999",
        "type=rollback&attempt=1&evenIfDown=true",
    ],
)
def test_a_request_that_no_button_stands_for_is_refused(value: str) -> None:
    with pytest.raises(errors.Invalid, match="no request of a page"):
        asked(value)


@pytest.mark.parametrize("verb", list(ActionType))
def test_every_type_of_action_can_stand_behind_a_button(verb: ActionType) -> None:
    assert asked(f"type={verb}&attempt=3") == {"type": verb, "attempt": 3}
