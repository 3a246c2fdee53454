"""What people ask for is done before all other routes are looked at, and takes nothing from them."""

from __future__ import annotations

from datetime import timedelta

from fairlead.contracts.action import ActionType
from fairlead.contracts.revision import Cause
from unit.rollout.stage import Stage, at_step


def test_in_a_hurry_only_what_is_asked_for_is_done(stage: Stage) -> None:
    assert stage.engine.hurry() == []
    stage.release("1.1.0")
    assert [one.cause for one in stage.engine.hurry()][:1] == [Cause.RELEASED]
    assert stage.engine.hurry() == []
    at_step(stage, 500)
    stage.ask(ActionType.ROLLBACK)
    assert [one.cause for one in stage.engine.hurry()] == [Cause.ROLLED_BACK]
    assert stage.engine.hurry() == []
    assert stage.store.verify("iris") is None


def test_a_hurry_ends_no_window_so_none_is_lost(stage: Stage) -> None:
    at_step(stage, 500)
    stage.settle(1, 6)
    known = stage.store.windows("iris")
    stage.now += timedelta(seconds=7)
    stage.ask(ActionType.PAUSE)
    (paused,) = stage.engine.hurry()
    assert paused.windows == tuple(known)
    stage.acknowledge()
    stage.now += timedelta(seconds=6)
    stage.tick()
    (window,) = stage.store.windows("iris")
    assert window.end == stage.now


def test_a_tick_that_is_interrupted_does_not_undo_what_was_asked_for_meanwhile(stage: Stage) -> None:
    def release() -> None:
        stage.release("1.1.0")
        stage.engine.hurry()

    stage.engine.tick(release)
    assert stage.head.state.target.version == "1.1.0"
    assert [one.cause for one in stage.store.revisions("iris")].count(Cause.RELEASED) == 1
