"""The store as one SQLite file: several processes and threads may use it at once.

One module per noun, over `database`, the only place that opens, locks and translates SQLite's errors. Opening is
a matter of milliseconds and imports nothing but `sqlite3` and the contracts: a rollback waits for it.
"""

from fairlead.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
