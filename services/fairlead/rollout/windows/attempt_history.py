"""The windows and weights of a route's attempt, read from the ledger.

Only data of revisions is cached, because revisions never change.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import reduce

from fairlead import errors
from fairlead.contracts.revision import Cause, Phase, Revision
from fairlead.contracts.table import Table
from fairlead.contracts.window import Window
from fairlead.rollout.analysis.counts import comparable, with_shorter_limit
from fairlead.rollout.ports import EngineStore


@dataclass(frozen=True, slots=True)
class ComparisonPeriod:
    """How long the same two versions have been compared, and under which tables."""

    since: datetime
    tables: tuple[tuple[datetime, Table], ...]
    """(since, table), ascending, and at least one."""

    def table(self, start: datetime, end: datetime) -> Table:
        """The table at `end`, with the shortest `perTry` that was in force since `start`."""
        later = [table for since, table in self.tables if start < since <= end]
        return reduce(lambda one, other: with_shorter_limit(other, one), later, self._at(start))

    def weight(self, at: datetime) -> int:
        """The candidate's weight at a moment."""
        return self._at(at).weight

    def _at(self, moment: datetime) -> Table:
        return next((table for since, table in reversed(self.tables) if since <= moment), self.tables[0][1])


class AttemptHistory:
    """Reads attempts from the store and caches them by head. Not for several threads at once."""

    def __init__(self, store: EngineStore) -> None:
        self._store = store
        self._past: dict[str, tuple[str, datetime, tuple[Window, ...]]] = {}
        self._periods: dict[str, tuple[str, ComparisonPeriod]] = {}

    def windows(self, head: Revision) -> tuple[Window, ...]:
        """All windows of the attempt: those stored in its revisions, then those since the head."""
        if head.state.phase is Phase.STABLE:
            return ()
        return (*self._attempt(head)[1], *self._store.windows(head.route))

    def began(self, head: Revision) -> datetime:
        """When the attempt began; without one, when the head was appended."""
        return head.created_at if head.state.phase is Phase.STABLE else self._attempt(head)[0]

    def period(self, head: Revision) -> ComparisonPeriod:
        """Since when the head's two versions are compared: as far back as the ledger has the same two."""
        name, period = self._periods.get(head.route, ("", None))
        if period is None or name != head.hash:
            period = _period(self._comparable_revisions(head))
            self._periods[head.route] = (head.hash, period)
        return period

    def _comparable_revisions(self, head: Revision) -> Iterator[Revision]:
        revision = head
        with contextlib.suppress(errors.NotFound):
            while comparable(revision.table, head.table):
                yield revision
                revision = self._store.revision(head.route, revision.seq - 1)

    def _attempt(self, head: Revision) -> tuple[datetime, tuple[Window, ...]]:
        """When the attempt began, and the windows in its revisions."""
        name, began, past = self._past.get(head.route, ("", head.created_at, ()))
        if name != head.hash:
            began, past = self._stored(head)
            self._past[head.route] = (head.hash, began, past)
        return began, past

    def _stored(self, head: Revision) -> tuple[datetime, tuple[Window, ...]]:
        found: list[tuple[Window, ...]] = []
        revision = head
        try:
            # The windows in the release itself were counted before the attempt began.
            while revision.cause is not Cause.RELEASED:
                found.append(revision.windows)
                revision = self._store.revision(head.route, revision.seq - 1)
        except errors.NotFound:
            pass  # pruned: the attempt began before the oldest revision that is kept
        return revision.created_at, tuple(window for windows in reversed(found) for window in windows)


def _period(revisions: Iterator[Revision]) -> ComparisonPeriod:
    """The period of these revisions, which come newest first."""
    tables = tuple((revision.created_at, revision.table) for revision in revisions)[::-1]
    return ComparisonPeriod(tables[0][0], tables)
