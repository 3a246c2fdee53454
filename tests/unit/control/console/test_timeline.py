"""What each revision changed, as people read it."""

from __future__ import annotations

import json
import math

from fairlead.contracts.revision import Cause, Check, Verdict
from fairlead.control.console.timeline import Change, changes, entry, timeline
from unit.control.console.scene import STABLE, a_revision

FIRST, SECOND = a_revision(1, cause=Cause.CREATED), a_revision(2, weight=500)


def of_settings(*documents: object) -> list[Change]:
    before, after = (
        a_revision(at, settings=one if isinstance(one, str) else json.dumps(one)) for at, one in enumerate(documents, 1)
    )
    return list(changes(before, after))


def test_the_newest_revision_comes_first_and_the_oldest_is_compared_with_nothing() -> None:
    newest, oldest = timeline([FIRST, SECOND])
    assert (newest.id, oldest.id) == ("iris.2", "iris.1")
    assert oldest.changes == ()
    assert newest.served == (("1.0.0", "95 %"), ("1.1.0", "5 %"))


def test_a_step_changes_the_weight_and_nothing_else() -> None:
    third = a_revision(3, weight=2500)
    assert list(changes(SECOND, third)) == [Change("weight", "5 %", "25 %")]


def test_a_release_says_what_there_was_not_before() -> None:
    found = {one.what: (one.before, one.after) for one in changes(FIRST, SECOND)}
    assert found["candidate"][0] == ""
    assert found["candidate"][1].startswith("1.1.0 (")
    assert found["weight"] == ("", "5 %")
    assert found["phase"] == ("Stable", "Canary")


def test_a_version_with_other_content_under_the_same_name_is_a_change() -> None:
    other = STABLE.model_copy(update={"identity": "0123456789"})
    (change,) = changes(FIRST, a_revision(2, stable=other))
    assert change.what == "stable"
    assert change.after == "1.0.0 (0123456789)"


def test_the_evidence_of_a_rollback_is_shown_against_its_threshold() -> None:
    numbers = {"log_harm": math.log(900), "harm_at": math.log(400)}
    check = Check(gate="errors", verdict=Verdict.FAIL, reason="it fails more often", numbers=numbers)
    found = entry(None, a_revision(3, cause=Cause.ROLLED_BACK, evidence=(check,)))
    (gate,) = found.evidence
    assert found.is_rollback
    assert gate.harm is not None
    assert (gate.harm.value, gate.harm.threshold, gate.harm.is_reached) == ("900", "400", True)


def test_settings_are_compared_by_their_paths() -> None:
    before = {"strategy": {"alpha": 0.01, "steps": [{"weight": 500}]}, "sticky": None}
    after = {"strategy": {"steps": [{"weight": 900}]}, "sticky": None}
    assert of_settings(before, after) == [
        Change("strategy.alpha", "0.01", ""),
        Change("strategy.steps", '[{"weight": 500}]', '[{"weight": 900}]'),
    ]


def test_settings_that_cannot_be_read_are_not_compared() -> None:
    assert of_settings("", "not json") == []


def test_a_removed_model_serves_nothing() -> None:
    removed = a_revision(3, cause=Cause.REMOVED)
    assert entry(None, removed).served == ()
    assert Change("stable", f"1.0.0 ({STABLE.identity})", "") in list(changes(FIRST, removed))


def test_an_entry_has_actor_reason_and_where_its_table_comes_from() -> None:
    found = entry(None, a_revision(4, actor="ada", actor_verified=True, reason="wrong prices", restored_from=1))
    assert (found.actor, found.actor_verified, found.reason, found.restored_from) == (
        "ada",
        True,
        "wrong prices",
        "iris.1",
    )
