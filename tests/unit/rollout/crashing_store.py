"""A store whose process dies at a write that the test chooses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from fairlead.contracts.action import Outcome
from fairlead.contracts.instance import Wanted
from fairlead.contracts.revision import Revision
from fairlead.contracts.window import Window
from fairlead.store.sqlite import SqliteStore


class Killed(Exception):
    """The process died at this write."""


class CrashingStore(SqliteStore):
    """The real store in memory. The process dies at the armed write, which is done or not.

    As in a cluster, a window that need not be written at once is written with the route's next revision or status. It
    is lost if the process dies before.
    """

    def __init__(self) -> None:
        super().__init__(Path(":memory:"))
        self._waiting: dict[str, list[Window]] = {}
        self._left: int | None = None
        self._done = False

    def arm(self, writes: int, *, done: bool) -> None:
        """Die at the write after `writes` more. `done`: whether that write still reaches the disk."""
        self._left, self._done = writes, done

    def disarm(self) -> bool:
        """Cancel the armed death. True if it had not happened yet."""
        armed, self._left = self._left is not None, None
        return armed

    @contextmanager
    def _crashing(self) -> Iterator[None]:
        dies_now = self._left == 0
        if self._left is not None:
            self._left -= 1
        if dies_now and not self._done:
            self._waiting.clear()
            raise Killed
        yield
        if dies_now:
            self._waiting.clear()
            raise Killed

    def append(self, revision: Revision) -> Revision:
        with self._crashing():
            appended = super().append(revision)
            self._waiting.pop(revision.route, None)
            return appended

    def finish_action(
        self, name: str, outcome: Outcome, *, message: str = "", revision: int | None = None, route: str | None = None
    ) -> None:
        with self._crashing():
            super().finish_action(name, outcome, message=message, revision=revision)

    def prune(self, route: str, *, keep: int, now: datetime) -> int:
        with self._crashing():
            return super().prune(route, keep=keep, now=now)

    def add_window(self, route: str, window: Window, *, at_once: bool = True) -> None:
        if not at_once:
            self._waiting.setdefault(route, []).append(window)
            return
        with self._crashing():
            super().add_window(route, window)

    def windows(self, route: str) -> list[Window]:
        stored, waiting = super().windows(route), self._waiting.get(route, ())
        # Of those that are stored only the newest can have a state.
        known = [*stored[-1:], *waiting]
        return [*stored[:-1], *(one.without_state() for one in known[:-1]), *known[-1:]]

    def want(self, wanted: Sequence[Wanted]) -> None:
        with self._crashing():
            super().want(wanted)

    def set_status(self, route: str, status: dict[str, object], *, namespace: str | None = None) -> None:
        with self._crashing():
            for window in self._waiting.pop(route, ()):
                super().add_window(route, window)
            super().set_status(route, status, namespace=namespace)
