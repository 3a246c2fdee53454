"""A version that cannot be loaded is told at once with its sentence, and rolled back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Cause, Revision
from fairlead.contracts.route import VersionRef
from fairlead.rollout.policy.decide import decide
from fairlead.rollout.policy.observation import Observation
from fairlead.rollout.policy.unready import MAX_WHY, Unready, unready_versions
from unit.rollout.policy.builders import NOW, V1, V2, a_route, after, canary, later, preparing, seen, waits

BROKEN = {V2: Unready("ValueError: boom", for_good=True)}


def instance(
    ref: VersionRef = V2, *, index: int = 0, ready: bool = False, why: str = "", failed: datetime | None = None
) -> Instance:
    return Instance(
        id=f"{ref}/{index}",
        model="iris",
        ref=ref,
        host="127.0.0.1",
        port=8000 + index,
        ready=ready,
        reason=why,
        failed_at=failed,
        observed_at=NOW,
    )


def away(at: float = 1, **changes: object) -> Observation:
    return replace(seen(at, ready={V1: 1}), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("head", [preparing(), canary()])
def test_a_candidate_that_cannot_be_loaded_is_rolled_back_at_once_with_its_sentence(head: Revision) -> None:
    back = after(a_route(), head, away(unready=BROKEN))
    assert back.cause is Cause.ROLLED_BACK
    assert back.state.rejected[0].reason == (
        "ready: 1.1.0 cannot be loaded: ValueError: boom (fairlead logs iris --version 1.1.0)"
    )


def test_a_candidate_that_only_starts_is_waited_for_and_says_why() -> None:
    starting = away(unready={V2: Unready("the model is being loaded")})
    assert waits(a_route(), preparing(), starting) == (
        "ready: 1.1.0 has no ready instance (the model is being loaded); 10m are allowed"
    )


def test_a_candidate_that_was_never_ready_is_rejected_with_the_reason_of_its_instance() -> None:
    waiting = replace(seen(601, ready={V1: 1}), unready={V2: Unready("its container has no image (ErrImagePull)")})
    assert after(a_route(), preparing(), waiting).state.rejected[0].reason == (
        "ready: 1.1.0 has had no ready instance for 10m (its container has no image (ErrImagePull))"
    )


def test_a_broken_stable_version_ends_no_rollout() -> None:
    assert "cannot be loaded" not in waits(a_route(), preparing(), away(unready={V1: BROKEN[V2]}))


def test_a_first_version_that_cannot_be_loaded_says_so() -> None:
    waiting = decide(a_route(), None, replace(seen(ready={}), unready=BROKEN), []).waiting
    assert waiting == "1.1.0 cannot be loaded: ValueError: boom (fairlead logs iris --version 1.1.0)"


def test_a_version_with_a_ready_instance_is_not_unready() -> None:
    assert unready_versions([instance(failed=NOW), instance(index=1, ready=True)], NOW) == {}


def test_one_instance_that_still_starts_may_save_the_version() -> None:
    both = [instance(failed=NOW, why="boom"), instance(index=1, why="starting")]
    assert unready_versions(both, NOW) == {V2: Unready("boom")}


def test_a_failure_from_before_the_attempt_does_not_count() -> None:
    assert unready_versions([instance(failed=NOW, why="boom")], later(1)) == {V2: Unready("boom")}
    assert unready_versions([instance(failed=later(1), why="boom")], later(1)) == {V2: Unready("boom", for_good=True)}


def test_what_a_model_raises_is_one_line_of_bounded_length() -> None:
    found = unready_versions([instance(failed=NOW, why=f"the model cannot be served: a\n  b {'x' * 9999}")], None)
    assert found[V2].why.startswith("a b x")
    assert len(found[V2].why) == MAX_WHY + 3
