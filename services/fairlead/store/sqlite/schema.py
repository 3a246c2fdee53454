"""The SQLite schema: tables, and triggers that keep the ledger append-only for every program that opens the file."""

VERSION = 1
"""Incremented with every change below. An older file is migrated, a newer one is not opened."""

APPLICATION_ID = 0x46616972
"""Marks the file as ours ("Fair"), so that a mistyped path does not write into another program's database."""

# Not a change of VERSION: an older file gets the table with its first heartbeat, an older Fairlead ignores it.
HEARTBEATS = """
CREATE TABLE IF NOT EXISTS heartbeats (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at_us INTEGER NOT NULL
);
"""

# Documents are stored whole, as JSON. The other columns are those used in queries and triggers.
# Times are microseconds since 1970: as text, "00Z" would sort after "00.5Z".
SCHEMA = (
    """
CREATE TABLE routes (
    name TEXT PRIMARY KEY,
    resource_version INTEGER NOT NULL,
    document TEXT NOT NULL
);
CREATE TABLE revisions (
    route TEXT NOT NULL,
    seq INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    milestone INTEGER NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (route, seq)
);
CREATE TABLE checkpoints (
    route TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    document TEXT NOT NULL
);
CREATE TABLE windows (
    id INTEGER PRIMARY KEY,
    route TEXT NOT NULL,
    document TEXT NOT NULL
);
CREATE INDEX windows_by_route ON windows (route, id);
CREATE TABLE actions (
    name TEXT PRIMARY KEY,
    route TEXT NOT NULL,
    outcome TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    document TEXT NOT NULL
);
CREATE INDEX actions_by_outcome ON actions (outcome, created_us);
CREATE TABLE wanted (id TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE instances (id TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE statuses (route TEXT PRIMARY KEY, document TEXT NOT NULL);

CREATE TRIGGER revisions_are_never_changed BEFORE UPDATE ON revisions
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: a revision is never changed');
END;
CREATE TRIGGER revisions_are_only_pruned BEFORE DELETE ON revisions
WHEN NOT EXISTS (SELECT 1 FROM checkpoints WHERE route = OLD.route AND seq >= OLD.seq)
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: a revision is only pruned behind a checkpoint');
END;
CREATE TRIGGER revisions_follow_one_another BEFORE INSERT ON revisions
WHEN NEW.seq <> 1 + max(
    coalesce((SELECT max(seq) FROM revisions WHERE route = NEW.route), 0),
    coalesce((SELECT seq FROM checkpoints WHERE route = NEW.route), 0)
)
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: a revision continues the head');
END;
"""
    + HEARTBEATS
)
