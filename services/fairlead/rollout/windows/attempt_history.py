"""What the ledger has of a route's attempt. Only what a revision, which never changes, took along is remembered."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from fairlead import errors
from fairlead.contracts.revision import Cause, Phase, Revision, Window
from fairlead.rollout.analysis.counts import comparable
from fairlead.rollout.ports import EngineStore


@dataclass(frozen=True, slots=True)
class Stretch:
    """For how long the same two versions have been compared, and with which weights."""

    since: datetime
    weights: tuple[tuple[datetime, int], ...]
    """From when on which, ascending."""

    def weight(self, at: datetime) -> int:
        """The candidate's share at a moment."""
        return next((weight for since, weight in reversed(self.weights) if since <= at), self.weights[0][1])


class Attempts:
    """Not for several threads at once."""

    def __init__(self, store: EngineStore) -> None:
        self._store = store
        self._past: dict[str, tuple[str, tuple[Window, ...]]] = {}
        self._stretches: dict[str, tuple[str, Stretch]] = {}

    def windows(self, head: Revision) -> tuple[Window, ...]:
        """All windows of the attempt: those since the head, and those that its revisions took along."""
        if head.state.phase is Phase.STABLE:
            return ()
        name, past = self._past.get(head.route, ("", ()))
        if name != head.hash:
            past = self._taken_along(head)
            self._past[head.route] = (head.hash, past)
        return (*past, *self._store.windows(head.route))

    def stretch(self, head: Revision) -> Stretch:
        """Since when the head's two versions are compared: as far back as the ledger tells of the same two."""
        name, stretch = self._stretches.get(head.route, ("", None))
        if stretch is None or name != head.hash:
            stretch = Stretch(*_weights(self._back(head)))
            self._stretches[head.route] = (head.hash, stretch)
        return stretch

    def _back(self, head: Revision) -> Iterator[Revision]:
        revision = head
        with contextlib.suppress(errors.NotFound):
            while comparable(revision.table, head.table):
                yield revision
                revision = self._store.revision(head.route, revision.seq - 1)

    def _taken_along(self, head: Revision) -> tuple[Window, ...]:
        found: list[tuple[Window, ...]] = []
        revision = head
        try:
            # What the release itself took along was counted before the attempt began.
            while revision.cause is not Cause.RELEASED:
                found.append(revision.windows)
                revision = self._store.revision(head.route, revision.seq - 1)
        except errors.NotFound:
            pass  # pruned: the attempt is longer than the ledger
        return tuple(window for windows in reversed(found) for window in windows)


def _weights(revisions: Iterator[Revision]) -> tuple[datetime, tuple[tuple[datetime, int], ...]]:
    """When the first of them began, and which weight held from when on; they come newest first."""
    found = [(revision.created_at, revision.table.weight) for revision in revisions][::-1]
    return found[0][0], tuple(found)
