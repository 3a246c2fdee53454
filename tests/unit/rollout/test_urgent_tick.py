"""Users' requests are carried out before all other routes are read, and do not disturb those."""

from __future__ import annotations

from datetime import timedelta

from fairlead.contracts.action import ActionType
from fairlead.contracts.revision import Cause
from unit.rollout.simulated_platform import Platform, at_step


def test_an_urgent_tick_does_only_what_was_requested(platform: Platform) -> None:
    assert platform.engine.tick_urgent() == []
    platform.release("1.1.0")
    assert [one.cause for one in platform.engine.tick_urgent()][:1] == [Cause.RELEASED]
    assert platform.engine.tick_urgent() == []
    at_step(platform, 500)
    platform.ask(ActionType.ROLLBACK)
    assert [one.cause for one in platform.engine.tick_urgent()] == [Cause.ROLLED_BACK]
    assert platform.engine.tick_urgent() == []
    assert platform.store.verify("iris") is None


def test_an_urgent_tick_ends_no_window(platform: Platform) -> None:
    at_step(platform, 500)
    platform.settle(1, 6)
    known = platform.store.windows("iris")
    platform.now += timedelta(seconds=7)
    platform.ask(ActionType.PAUSE)
    (paused,) = platform.engine.tick_urgent()
    assert paused.windows == tuple(known)
    platform.acknowledge()
    platform.now += timedelta(seconds=6)
    platform.tick()
    (window,) = platform.store.windows("iris")
    assert window.end == platform.now


def test_an_interrupted_tick_does_not_undo_what_was_requested_meanwhile(platform: Platform) -> None:
    def release() -> None:
        platform.release("1.1.0")
        platform.engine.tick_urgent()

    platform.engine.tick(release)
    assert platform.head.state.target.version == "1.1.0"
    assert [one.cause for one in platform.store.revisions("iris")].count(Cause.RELEASED) == 1
