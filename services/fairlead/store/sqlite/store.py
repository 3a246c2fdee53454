"""The SQLite store: one file, one class, composed of a base class per kind of document."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from fairlead.contracts.revision import Revision
from fairlead.store.sqlite.actions import SqliteActions
from fairlead.store.sqlite.database import BUSY_TIMEOUT_S, Database
from fairlead.store.sqlite.instances import SqliteInstances, SqliteStatuses
from fairlead.store.sqlite.ledger import SqliteLedger
from fairlead.store.sqlite.routes import SqliteRoutes


class SqliteStore(SqliteRoutes, SqliteLedger, SqliteActions, SqliteInstances, SqliteStatuses):
    """`store.base.Store` in one SQLite file, shared by the control plane, the supervisor and the command line.

    With `create=False` a missing file is an error: a command run in the wrong folder must not create a ledger there.
    """

    def __init__(self, path: Path | str, *, create: bool = True, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._database = Database(Path(path), create=create, busy_timeout_s=busy_timeout_s)
        self._read = {}

    def remove_route(self, name: str, last: Revision | None) -> None:
        """Delete the route, and append the revision that says so. Both happen, or neither.

        Raises NotFound when there is no such route, and Conflict when the ledger went on since it was read.
        """
        with self._database.writing() as connection:
            self._delete(connection, name)
            if last is not None:
                self._append(connection, last)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
