"""Statuses that are written late: a decision never overtakes the status of its own route."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fairlead import errors
from fairlead.contracts.action import ActionType
from fairlead.contracts.revision import Revision
from unit.rollout.simulated_platform import Platform, at_step


class Late:
    """`StatusWrites` that carries out a write as late as it may: when somebody waits for it."""

    def __init__(self) -> None:
        self.waiting: dict[str, Callable[[], None]] = {}

    def start(self, route: str, write: Callable[[], None]) -> None:
        self.finish(route)
        self.waiting[route] = write

    def finish(self, route: str) -> None:
        if (write := self.waiting.pop(route, None)) is not None:
            write()

    def finish_all(self) -> None:
        for route in list(self.waiting):
            self.finish(route)


@pytest.fixture
def late(platform: Platform) -> Late:
    platform.engine._writes = found = Late()
    return found


def test_after_a_tick_nothing_waits(platform: Platform, late: Late) -> None:
    at_step(platform, 500)
    assert late.waiting == {}
    status = platform.store.status("iris")
    assert status is not None
    assert status["phase"] == "Canary"


def test_an_action_in_the_middle_of_a_tick_finds_the_windows_that_its_status_stores(
    platform: Platform, late: Late
) -> None:
    """The route is decided on again while its status is on its way: the windows in it must count once."""
    at_step(platform, 500)
    platform.settle(1, 6)
    reconcile, found = platform.engine.reconcile, list[Revision]()

    def interrupted(*arguments: object, **options: object) -> list[Revision]:
        appended = reconcile(*arguments, **options)  # type: ignore[arg-type]
        if late.waiting and not found:
            platform.ask(ActionType.PAUSE)
            found.extend(platform.engine.tick_urgent())
            assert late.waiting == {}
        return appended

    platform.engine.reconcile = interrupted  # type: ignore[method-assign]
    platform.tick()
    (paused,) = found
    ends = [window.end for window in paused.windows]
    assert len(ends) == len(set(ends)) >= 1


def test_a_status_that_another_writer_overtook_is_written_at_the_next_tick(
    platform: Platform, late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(route: str, status: dict[str, object], *, namespace: str) -> None:
        raise errors.Conflict("another writer was faster")

    with monkeypatch.context() as patched:
        patched.setattr(platform.store, "set_status", overtaken)
        platform.tick()
    platform.tick()
    assert platform.store.status("iris") is not None


def test_a_store_that_cannot_be_written_fails_the_tick_once_and_not_the_next_one(
    platform: Platform, late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(route: str, status: dict[str, object], *, namespace: str) -> None:
        raise errors.Unavailable("the API server does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(platform.store, "set_status", unavailable)
        with pytest.raises(errors.Unavailable):
            platform.tick()
    platform.tick()
