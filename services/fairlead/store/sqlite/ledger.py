"""The ledger in SQLite: the chain of revisions, the windows since the newest one, and pruning."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from fairlead import errors
from fairlead.contracts.revision import Cause, Checkpoint, Revision, find_break
from fairlead.contracts.window import Window
from fairlead.store.sqlite import documents
from fairlead.store.sqlite.database import Database
from fairlead.store.windows import MAX_WINDOWS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILESTONES = (Cause.CREATED, Cause.PROMOTED)


class SqliteLedger:
    """`store.base.Ledger`."""

    _database: Database

    def append(self, revision: Revision) -> Revision:
        """Seal the revision and append it. The stored windows are deleted, because the revision contains them.

        Raises Conflict unless `seq` and `parent` continue the ledger, or when the route was removed meanwhile.
        """
        with self._database.writing() as connection:
            return self._append(connection, revision)

    def _append(self, connection: sqlite3.Connection, revision: Revision) -> Revision:
        sealed = revision.sealed()
        last = self._last(connection, revision.route)
        seq, parent = (last["seq"], last["hash"]) if last else (0, "")
        if (sealed.seq, sealed.parent) != (seq + 1, parent):
            raise errors.Conflict(f"{sealed.id} does not continue the ledger, whose head is {sealed.route}.{seq}")
        if last and last["cause"] == Cause.REMOVED and not _has_route(connection, revision.route):
            # A tick that had read the route before its removal must not bring it back.
            raise errors.Conflict(f"{sealed.route} was removed in revision {sealed.route}.{seq}")
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
        """The newest revision, which is the state of the route. None before the first, and after a removal."""
        found = self._select("route = ? ORDER BY seq DESC LIMIT 1", route)
        return found[0] if found and found[0].cause is not Cause.REMOVED else None

    def revision(self, route: str, seq: int) -> Revision:
        """One revision. Raises NotFound; the hint says which revisions are kept."""
        found = self._select("route = ? AND seq = ?", route, seq)
        if not found:
            raise errors.NotFound(f"there is no revision {route}.{seq}", hint=self._kept(route))
        return found[0]

    def revisions(self, route: str, *, limit: int | None = None) -> list[Revision]:
        """The kept revisions, ascending; with `limit`, only that many of the newest."""
        return self._select("route = ? ORDER BY seq DESC LIMIT ?", route, -1 if limit is None else limit)[::-1]

    def at(self, route: str, moment: datetime) -> Revision:
        """The revision that was in force at that time. Raises NotFound if the ledger does not reach back that far."""
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
        """Where pruning stopped."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT document FROM checkpoints WHERE route = ?", (route,)).fetchone()
        return Checkpoint.model_validate_json(row[0]) if row else None

    def verify(self, route: str) -> str | None:
        """None if the chain is intact, else one sentence that names the first broken revision."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT seq, document FROM revisions WHERE route = ? ORDER BY seq", (route,)
            ).fetchall()
        try:
            return find_break(_documents(route, rows), self.checkpoint(route))
        except _Unreadable as unreadable:
            return str(unreadable)

    def prune(self, route: str, *, keep: int, now: datetime) -> int:
        """Delete all but the newest `keep` revisions and the promotions, and store a checkpoint.

        The checkpoint is written first: a trigger refuses to delete a revision that no checkpoint covers.
        """
        if keep < 1:
            raise errors.Invalid("keep must be at least 1, because the head is the state of the route")
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
        """Store a window counted since the head. At most 240 windows are kept; older ones are merged pairwise."""
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
                hint="find it with `fairlead history MODEL --verify`, and restore a backup",
            ) from error

    def _last(self, connection: sqlite3.Connection, route: str) -> dict[str, Any] | None:
        """The newest revision as it is stored, also after a removal."""
        row = connection.execute(
            "SELECT document FROM revisions WHERE route = ? ORDER BY seq DESC LIMIT 1", (route,)
        ).fetchone()
        found: dict[str, Any] | None = json.loads(row[0]) if row else None
        return found

    def _kept(self, route: str) -> str:
        with self._database.reading() as connection:
            first, last = connection.execute(
                "SELECT min(seq), max(seq) FROM revisions WHERE route = ?", (route,)
            ).fetchone()
        return f"kept: {route}.{first} to {route}.{last}" if last else f"{route!r} has no revision yet"


class _Unreadable(Exception):
    """A row with broken JSON; the message is the sentence that verify() returns."""


def _documents(route: str, rows: list[tuple[int, str]]) -> Iterator[dict[str, Any]]:
    for seq, text in rows:
        try:
            document = json.loads(text)
        except ValueError:
            document = None
        if not isinstance(document, dict) or document.get("seq") != seq or document.get("route") != route:
            raise _Unreadable(f"revision {route}.{seq} was changed after it was written: its row cannot be read")
        yield document


def _has_route(connection: sqlite3.Connection, name: str) -> bool:
    return connection.execute("SELECT 1 FROM routes WHERE name = ?", (name,)).fetchone() is not None


def _insert_window(connection: sqlite3.Connection, route: str, window: Window) -> None:
    connection.execute(
        "INSERT INTO windows (route, document) VALUES (?, ?)", (route, window.model_dump_json(by_alias=True))
    )


def _strip_newest_window(connection: sqlite3.Connection, route: str) -> None:
    """Remove the evidence state from the newest stored window: the next one carries it, and the state is large."""
    row = connection.execute(
        "SELECT id, document FROM windows WHERE route = ? ORDER BY id DESC LIMIT 1", (route,)
    ).fetchone()
    if row is None:
        return
    window = Window.model_validate_json(row[1])
    if window.without_state() != window:
        document = window.without_state().model_dump_json(by_alias=True)
        connection.execute("UPDATE windows SET document = ? WHERE id = ?", (document, row[0]))


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
