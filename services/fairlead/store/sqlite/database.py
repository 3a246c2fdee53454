"""The connection to the SQLite file: opening, locking, transactions, and translation of SQLite's errors to ours."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairlead import errors
from fairlead.store.sqlite import schema

BUSY_TIMEOUT_S = 5.0
"""How long to wait for another process's write. Our writes take milliseconds, so a longer wait means that one hangs."""

_RETRY_S = 0.01


class Database:
    """The file, as one connection under one lock, shared by all threads. Our statements are short."""

    def __init__(self, path: Path, *, create: bool = True, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._writes = 0
        if not create and not path.exists():
            raise errors.NotFound(
                f"there is no ledger at {path}", hint="is this the folder that `fairlead up` runs in?"
            )
        with self._translated():
            if create:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare(busy_timeout_s)
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Close the file. Using it afterwards is an error."""
        with self._lock:
            self._connection.close()

    def change_token(self) -> tuple[int, int]:
        """The commits of other connections (`data_version`) and our own (`_writes`)."""
        with self.reading() as connection:
            return int(connection.execute("PRAGMA data_version").fetchone()[0]), self._writes

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for independent read statements."""
        with self._lock, self._translated():
            yield self._connection

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """A write transaction, committed at the end and rolled back on any error.

        It takes the write lock at the start, so what is read inside is still true at the commit. With `durable` the
        commit waits for the disk: a gateway must not serve a revision that a power failure could undo. Data that is
        reported again every second does not need it.
        """
        with self._lock, self._translated():
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._connection.execute("BEGIN IMMEDIATE")
            before = self._connection.total_changes
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self._writes += self._connection.total_changes != before

    def _prepare(self, busy_timeout_s: float) -> None:
        found = self._version()
        if found == schema.VERSION:
            return
        if found > schema.VERSION:
            raise errors.Invalid(
                f"{self.path} was written by a newer Fairlead (its schema is {found}, this one supports "
                f"{schema.VERSION})",
                hint="use that version of Fairlead, or a later one",
            )
        self._switch_to_wal(within_s=busy_timeout_s)
        with self.writing() as connection:
            if self._version() == schema.VERSION:
                return  # another process was faster
            if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise errors.Invalid(
                    f"{self.path} is a database of another program", hint="choose another state folder"
                )
            for statement in _statements(schema.SCHEMA):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {schema.VERSION}")

    def _switch_to_wal(self, *, within_s: float) -> None:
        """In WAL mode readers never wait for a writer. The mode is stored in the file."""
        deadline = time.monotonic() + within_s
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                # SQLite itself does not wait here: two connections that switch would wait for each other. One of
                # 480 openings of a new file by eight threads failed.
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
            time.sleep(_RETRY_S)

    def _version(self) -> int:
        """The file's schema version; 0 if the file is new or belongs to another program."""
        ours = self._connection.execute("PRAGMA application_id").fetchone()[0] == schema.APPLICATION_ID
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0]) if ours else 0

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _translate(error, self.path) from error
        except OSError as error:
            raise errors.Unavailable(f"cannot use {self.path}: {error.strerror}") from error


def _statements(script: str) -> Iterator[str]:
    """The script's statements one by one, because executescript() would commit the current transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _translate(error: sqlite3.Error, path: Path) -> errors.FairleadError:
    code = getattr(error, "sqlite_errorname", "")
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return errors.Unavailable(
            f"{path} is locked by another process", hint="try again; if it stays locked, find the process with `lsof`"
        )
    if code.startswith(("SQLITE_READONLY", "SQLITE_PERM")):
        return errors.Unavailable(
            f"{path} cannot be written", hint="make the file and its folder writable for this user"
        )
    if code.startswith("SQLITE_CANTOPEN"):
        return errors.Unavailable(
            f"{path} cannot be opened", hint="check that its folder exists, and that it is a file"
        )
    if code.startswith("SQLITE_FULL"):
        return errors.Unavailable(f"no space is left to write {path}", hint="free some space on its disk")
    if code.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return errors.Invalid(
            f"{path} is damaged or not a ledger ({error})",
            hint="stop Fairlead, keep the file for inspection, then restore a backup or move the file away",
        )
    if code.startswith("SQLITE_CONSTRAINT_TRIGGER"):
        return errors.Refused(str(error))
    return errors.Unavailable(f"{path}: {error}")
