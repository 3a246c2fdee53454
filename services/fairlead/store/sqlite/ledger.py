"""The ledger: revisions, chained; what was counted since the last one; and the one place that prunes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from fairlead import errors
from fairlead.contracts.revision import Cause, Checkpoint, Revision, Window, find_break
from fairlead.store.sqlite import documents
from fairlead.store.sqlite.database import Database
from fairlead.store.windows import MAX_WINDOWS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILESTONES = (Cause.CREATED, Cause.PROMOTED)


class SqliteLedger:
    """`store.base.Ledger`."""

    _database: Database

    def append(self, revision: Revision) -> Revision:
        """Append the head's successor, sealed, and clear the windows, which are in it now.

        Raises Conflict unless `seq` and `parent` continue the head.
        """
        sealed = revision.sealed()
        with self._database.writing() as connection:
            seq, parent = self._end(connection, revision.route)
            if (sealed.seq, sealed.parent) != (seq + 1, parent):
                raise errors.Conflict(f"{sealed.id} does not continue the ledger, whose head is {sealed.route}.{seq}")
            connection.execute(
                "INSERT INTO revisions VALUES (?, ?, ?, ?, ?)",
                (
                    sealed.route,
                    sealed.seq,
                    microseconds(sealed.created_at),
                    sealed.cause in _MILESTONES,
                    sealed.model_dump_json(by_alias=True),
                ),
            )
            connection.execute("DELETE FROM windows WHERE route = ?", (sealed.route,))
        return sealed

    def head(self, route: str) -> Revision | None:
        """The last revision: the state of the route. None before the first."""
        found = self._select("route = ? ORDER BY seq DESC LIMIT 1", route)
        return found[0] if found else None

    def revision(self, route: str, seq: int) -> Revision:
        """One revision. Raises NotFound, saying what range is kept."""
        found = self._select("route = ? AND seq = ?", route, seq)
        if not found:
            raise errors.NotFound(f"there is no revision {route}.{seq}", hint=self._kept(route))
        return found[0]

    def revisions(self, route: str, *, limit: int | None = None) -> list[Revision]:
        """The kept revisions, ascending; with `limit`, the newest so many."""
        return self._select("route = ? ORDER BY seq DESC LIMIT ?", route, -1 if limit is None else limit)[::-1]

    def at(self, route: str, moment: datetime) -> Revision:
        """The revision that was in force then. Raises NotFound when the ledger does not reach that far."""
        found = self._select(
            "route = ?1 AND created_us <= ?2"
            " AND seq >= coalesce((SELECT seq FROM checkpoints WHERE route = ?1), 0) ORDER BY seq DESC LIMIT 1",
            route,
            microseconds(moment),
        )
        if not found:
            when = moment.isoformat(timespec="seconds")
            raise errors.NotFound(f"the ledger of {route!r} does not reach back to {when}", hint=self._kept(route))
        return found[0]

    def checkpoint(self, route: str) -> Checkpoint | None:
        """Where pruning left off."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT document FROM checkpoints WHERE route = ?", (route,)).fetchone()
        return Checkpoint.model_validate_json(row[0]) if row else None

    def verify(self, route: str) -> str | None:
        """None when the chain holds, else one sentence naming the first revision that does not."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT seq, document FROM revisions WHERE route = ? ORDER BY seq", (route,)
            ).fetchall()
        try:
            return find_break(_documents(route, rows), self.checkpoint(route))
        except _Unreadable as unreadable:
            return str(unreadable)

    def prune(self, route: str, *, keep: int, now: datetime) -> int:
        """Forget all but the newest `keep` revisions and the promotions, leaving a checkpoint.

        The checkpoint is written first: the triggers let nothing go that none covers.
        """
        if keep < 1:
            raise errors.Invalid("the head is the state of the route: at least one revision is kept")
        with self._database.writing() as connection:
            last = connection.execute(
                "SELECT seq, document FROM revisions WHERE route = ? ORDER BY seq DESC LIMIT 1 OFFSET ?", (route, keep)
            ).fetchone()
            if last is None:
                return 0
            seq, document = int(last[0]), str(last[1])
            checkpoint = Checkpoint(route=route, seq=seq, hash=json.loads(document)["hash"], pruned_at=now)
            connection.execute(
                "INSERT INTO checkpoints VALUES (?, ?, ?) ON CONFLICT (route) DO UPDATE"
                " SET seq = excluded.seq, document = excluded.document",
                (route, seq, checkpoint.model_dump_json(by_alias=True)),
            )
            return connection.execute(
                "DELETE FROM revisions WHERE route = ? AND seq <= ? AND NOT milestone", (route, seq)
            ).rowcount

    def add_window(self, route: str, window: Window, *, at_once: bool = True) -> None:  # noqa: ARG002 - always at once
        """Remember what was counted since the head; at most 240, older ones merged pairwise."""
        with self._database.writing(durable=False) as connection:
            _strip_newest_window(connection, route)
            _insert_window(connection, route, window)
            rows = connection.execute(
                "SELECT id, document FROM windows WHERE route = ? ORDER BY id", (route,)
            ).fetchall()
            if len(rows) <= MAX_WINDOWS:
                return
            older = rows[: MAX_WINDOWS // 2]
            for (first_id, first), (second_id, second) in zip(older[::2], older[1::2], strict=True):
                merged = Window.model_validate_json(first).merged(Window.model_validate_json(second))
                connection.execute("DELETE FROM windows WHERE id = ?", (second_id,))
                connection.execute(
                    "UPDATE windows SET document = ? WHERE id = ?", (merged.model_dump_json(by_alias=True), first_id)
                )

    def windows(self, route: str) -> list[Window]:
        """The windows since the head, ascending."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT document FROM windows WHERE route = ? ORDER BY id", (route,)).fetchall()
        return [documents.window(document) for (document,) in rows]

    def _select(self, where: str, *parameters: object) -> list[Revision]:
        with self._database.reading() as connection:
            rows = connection.execute(f"SELECT document FROM revisions WHERE {where}", parameters).fetchall()
        try:
            return [documents.revision(document) for (document,) in rows]
        except ValidationError as error:
            raise errors.Invalid(
                f"a revision in {self._database.path} cannot be read: {error.errors()[0]['msg']}",
                hint="`fairlead history MODEL --verify` names it; restore a backup",
            ) from error

    def _end(self, connection: sqlite3.Connection, route: str) -> tuple[int, str]:
        """Number and hash of the last revision, from the checkpoint when all of them were pruned."""
        row = connection.execute(
            "SELECT seq, document FROM revisions WHERE route = ? ORDER BY seq DESC LIMIT 1", (route,)
        ).fetchone()
        return (int(row[0]), str(json.loads(row[1])["hash"])) if row else (0, "")

    def _kept(self, route: str) -> str:
        with self._database.reading() as connection:
            first, last = connection.execute(
                "SELECT min(seq), max(seq) FROM revisions WHERE route = ?", (route,)
            ).fetchone()
        return f"kept: {route}.{first} to {route}.{last}" if last else f"{route!r} has no revision yet"


class _Unreadable(Exception):
    """A row whose JSON is broken; the message is the sentence for verify()."""


def _documents(route: str, rows: list[tuple[int, str]]) -> Iterator[dict[str, Any]]:
    for seq, text in rows:
        try:
            document = json.loads(text)
        except ValueError:
            document = None
        if not isinstance(document, dict) or document.get("seq") != seq or document.get("route") != route:
            raise _Unreadable(f"revision {route}.{seq} was changed after it was written: it is not itself any more")
        yield document


def _insert_window(connection: sqlite3.Connection, route: str, window: Window) -> None:
    connection.execute(
        "INSERT INTO windows (route, document) VALUES (?, ?)", (route, window.model_dump_json(by_alias=True))
    )


def _strip_newest_window(connection: sqlite3.Connection, route: str) -> None:
    """The next window carries on what this one carried; kept in both, it would be the most of what is stored."""
    row = connection.execute(
        "SELECT id, document FROM windows WHERE route = ? ORDER BY id DESC LIMIT 1", (route,)
    ).fetchone()
    if row is None:
        return
    window = Window.model_validate_json(row[1])
    if window.passed() != window:
        document = window.passed().model_dump_json(by_alias=True)
        connection.execute("UPDATE windows SET document = ? WHERE id = ?", (document, row[0]))


def microseconds(moment: datetime) -> int:
    """Since 1970, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
