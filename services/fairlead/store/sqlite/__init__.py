"""The store in one SQLite file, which several processes and threads may use at once.

One module per kind of document. Only `database` opens and locks the file and translates SQLite's errors. Opening takes
milliseconds and imports only `sqlite3` and the contracts, because a rollback waits for it.
"""

from fairlead.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
