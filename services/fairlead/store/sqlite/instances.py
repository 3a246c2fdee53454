"""Wanted and reported instances, and the last status of each route, in SQLite. Writes here do not wait for the disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from fairlead.contracts.instance import Instance, Wanted
from fairlead.store.condition_times import with_times
from fairlead.store.sqlite import documents, schema
from fairlead.store.sqlite.database import Database


class SqliteInstances:
    """`store.base.InstanceStore`."""

    _database: Database

    def want(self, wanted: Sequence[Wanted]) -> None:
        """Replace the whole list of wanted instances. Nothing is written if the list is the same."""
        rows = {one.id: one.model_dump_json(by_alias=True) for one in wanted}
        with self._database.reading() as connection:
            if dict(connection.execute("SELECT id, document FROM wanted")) == rows:
                return
        with self._database.writing(durable=False) as connection:
            connection.execute("DELETE FROM wanted")
            connection.executemany("INSERT INTO wanted VALUES (?, ?)", sorted(rows.items()))

    def wanted(self) -> list[Wanted]:
        """The wanted instances, by id."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT document FROM wanted ORDER BY id").fetchall()
        return [Wanted.model_validate_json(document) for (document,) in rows]

    def report(self, instance: Instance) -> None:
        """Store the current state of one instance."""
        with self._database.writing(durable=False) as connection:
            connection.execute(
                "INSERT INTO instances VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET document = excluded.document",
                (instance.id, instance.model_dump_json(by_alias=True)),
            )

    def remove_instance(self, instance_id: str) -> None:
        """Remove a stopped instance."""
        with self._database.writing(durable=False) as connection:
            connection.execute("DELETE FROM instances WHERE id = ?", (instance_id,))

    def instances(self) -> list[Instance]:
        """The reported instances, by id."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT document FROM instances ORDER BY id").fetchall()
        return [documents.instance(document) for (document,) in rows]


class SqliteStatuses:
    """`store.base.StatusStore`."""

    _database: Database

    def set_status(
        self,
        route: str,
        status: dict[str, object],
        *,
        namespace: str | None = None,  # noqa: ARG002 - there is one
    ) -> None:
        """Replace a route's status document. Nothing is written, and the change token stays, if it is the same."""
        with self._database.writing(durable=False) as connection:
            document = json.dumps(with_times(status, self.status(route)), sort_keys=True, default=str)
            connection.execute(
                "INSERT INTO statuses VALUES (?, ?) ON CONFLICT (route) DO UPDATE SET document = excluded.document"
                " WHERE document <> excluded.document",
                (route, document),
            )

    def beat(self, now: datetime) -> None:
        """Store that all statuses are up to date now. One row, so that unchanged statuses need not be written."""
        with self._database.writing(durable=False) as connection:
            connection.execute(schema.HEARTBEATS)
            connection.execute(
                "INSERT INTO heartbeats VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET at_us = excluded.at_us",
                (int(now.timestamp() * 1_000_000),),
            )

    def last_beat(self) -> datetime | None:
        """When all statuses were up to date last; None if no control plane has written that yet."""
        with self._database.reading() as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'heartbeats'").fetchone():
                return None
            row = connection.execute("SELECT at_us FROM heartbeats").fetchone()
        return datetime.fromtimestamp(row[0] / 1_000_000, UTC) if row else None

    def status(self, route: str) -> dict[str, object] | None:
        """The last status document."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT document FROM statuses WHERE route = ?", (route,)).fetchone()
        if row is None:
            return None
        document: dict[str, object] = json.loads(row[0])
        return document
