"""The SQLite store: the shared suite, and tests of the file: triggers, damage, locking, concurrent use."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.store.sqlite import SqliteStore, schema
from unit.store.builders import NOW, a_spec, an_action, filled, successor
from unit.store.suite import StoreSuite, SupervisedSuite


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(path) as store:
        yield store


class TestSqliteStore(StoreSuite, SupervisedSuite):
    """The suite, over one file."""


def _raw(path: Path, *statements: str) -> None:
    """Run SQL on the file, like a user with a SQLite shell."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def _edit(path: Path, seq: int, **fields: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TRIGGER revisions_are_never_changed")
        (text,) = connection.execute("SELECT document FROM revisions WHERE seq = ?", (seq,)).fetchone()
        document = json.dumps(json.loads(text) | fields)
        connection.execute("UPDATE revisions SET document = ? WHERE seq = ?", (document, seq))


# The guards


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE revisions SET document = '{}' WHERE seq = 2",
        "DELETE FROM revisions WHERE seq = 2",
        "DELETE FROM revisions",
        "INSERT INTO revisions SELECT route, 9, created_us, milestone, document FROM revisions WHERE seq = 2",
        "INSERT OR REPLACE INTO revisions SELECT * FROM revisions WHERE seq = 2",
    ],
)
def test_the_triggers_refuse_changes_to_the_ledger_by_other_programs(
    store: SqliteStore, path: Path, statement: str
) -> None:
    filled(store, 3)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        _raw(path, statement)
    assert store.verify("iris") is None


def test_a_revision_is_deleted_behind_a_checkpoint_only(store: SqliteStore, path: Path) -> None:
    filled(store, 5)
    store.prune("iris", keep=3, now=NOW)
    with pytest.raises(sqlite3.IntegrityError, match="only pruned"):
        _raw(path, "DELETE FROM revisions WHERE seq = 3")


@pytest.mark.parametrize("fields", [{"actor": "eve"}, {"reason": ""}, {"createdAt": "2020-01-01T00:00:00Z"}])
def test_verify_names_a_tampered_row(store: SqliteStore, path: Path, fields: dict[str, object]) -> None:
    filled(store, 4)
    _edit(path, 3, **fields)
    assert (store.verify("iris") or "").startswith("revision iris.3 was changed")


def test_verify_names_a_tampered_row_that_was_sealed_again(store: SqliteStore, path: Path) -> None:
    revisions = filled(store, 4)
    forged = revisions[1].model_copy(update={"actor": "eve"}).sealed()
    _edit(path, 2, actor="eve", hash=forged.hash)
    assert (store.verify("iris") or "").startswith("revision iris.3 does not continue the chain")


def test_verify_names_a_row_that_is_not_json(store: SqliteStore, path: Path) -> None:
    filled(store, 3)
    _raw(path, "DROP TRIGGER revisions_are_never_changed", "UPDATE revisions SET document = 'x' WHERE seq = 2")
    assert (store.verify("iris") or "").startswith("revision iris.2 was changed")


def test_verify_names_a_missing_row(store: SqliteStore, path: Path) -> None:
    filled(store, 4)
    _raw(path, "DROP TRIGGER revisions_are_only_pruned", "DELETE FROM revisions WHERE seq = 2")
    assert (store.verify("iris") or "").startswith("revision iris.2 is missing")


def test_verify_names_a_tampered_promotion_behind_the_checkpoint(store: SqliteStore, path: Path) -> None:
    filled(store, 9, promoted=(2,))
    store.prune("iris", keep=3, now=NOW)
    _edit(path, 2, actor="eve")
    assert (store.verify("iris") or "").startswith("revision iris.2 was changed")


def test_a_row_that_cannot_be_read_says_what_to_do(store: SqliteStore, path: Path) -> None:
    filled(store, 2)
    _edit(path, 2, generation="two")
    with pytest.raises(errors.Invalid) as caught:
        store.head("iris")
    assert "verify" in (caught.value.hint or "")


def _rewrite(path: Path, **spec: object) -> None:
    """Change the stored spec, like the commands of another Fairlead version."""
    with closing(sqlite3.connect(path)) as connection, connection:
        (text,) = connection.execute("SELECT document FROM routes WHERE name = 'iris'").fetchone()
        document = json.loads(text)
        document["spec"] |= spec
        connection.execute("UPDATE routes SET document = ? WHERE name = 'iris'", (json.dumps(document),))


def test_an_unknown_field_of_a_newer_fairlead_is_ignored(store: SqliteStore, path: Path) -> None:
    known = store.put_route("iris", a_spec(), now=NOW, actor="ann")
    _rewrite(path, invented={"later": True})
    assert store.routes() == [known]


def test_a_route_that_became_unreadable_keeps_its_last_readable_state(store: SqliteStore, path: Path) -> None:
    known = store.put_route("iris", a_spec(), now=NOW, actor="ann")
    assert store.routes() == [known]
    _rewrite(path, target=7)
    assert store.routes() == [known]


def test_a_route_that_was_never_readable_is_named_and_stops_no_other(store: SqliteStore, path: Path) -> None:
    store.put_route("iris", a_spec(), now=NOW, actor="ann")
    wine = store.put_route("wine", a_spec(), now=NOW, actor="ann")
    _rewrite(path, target=7)
    with SqliteStore(path) as another:
        assert another.routes() == [wine]
        (broken,) = another.unreadable_routes()
        assert broken.name == "iris"
        assert broken.message.startswith("route 'iris' cannot be read: spec.target: ")
        with pytest.raises(errors.Invalid, match=r"route 'iris' cannot be read: spec") as told:
            another.route("iris")
    assert "fairlead up" in (told.value.hint or "")


def test_a_route_of_a_newer_fairlead_is_not_overwritten(store: SqliteStore, path: Path) -> None:
    known = store.put_route("iris", a_spec(), now=NOW, actor="ann")
    _rewrite(path, invented={"later": True})
    with pytest.raises(errors.Invalid, match="another Fairlead"):
        store.put_route("iris", known.spec, now=NOW, actor="ann", reason="again")


# The file


def test_the_folder_is_made(path: Path) -> None:
    SqliteStore(path).close()
    assert path.exists()


def test_a_missing_ledger_is_not_created_with_create_false(path: Path) -> None:
    with pytest.raises(errors.NotFound, match="no ledger"):
        SqliteStore(path, create=False)
    assert not path.parent.exists()


def test_what_was_written_is_there_after_reopening(path: Path) -> None:
    with SqliteStore(path) as first:
        filled(first, 2)
    with SqliteStore(path, create=False) as second:
        assert len(second.revisions("iris")) == 2


def test_a_file_of_a_newer_release_is_refused(store: SqliteStore, path: Path) -> None:
    _raw(path, f"PRAGMA user_version = {schema.VERSION + 1}")
    with pytest.raises(errors.Invalid, match="newer Fairlead"):
        SqliteStore(path)


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    _raw(tmp_path / "other.db", "CREATE TABLE notes (text)")
    with pytest.raises(errors.Invalid, match="another program"):
        SqliteStore(tmp_path / "other.db")


def test_a_file_that_is_not_a_database_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"not a database, but long enough to be taken for one" * 20)
    with pytest.raises(errors.Invalid, match="damaged") as caught:
        SqliteStore(tmp_path / "ledger.db")
    assert "backup" in (caught.value.hint or "")


def test_a_damaged_page_says_what_to_do(path: Path) -> None:
    with SqliteStore(path) as store:
        filled(store, 40)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with SqliteStore(path) as damaged, pytest.raises(errors.Invalid, match="damaged"):
        damaged.revisions("iris")


def test_a_folder_in_place_of_the_file_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(errors.Unavailable, match="cannot be opened"):
        SqliteStore(tmp_path)


def test_a_parent_that_is_a_file_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(errors.Unavailable, match="cannot use"):
        SqliteStore(tmp_path / "state" / "ledger.db")


def test_a_file_that_cannot_be_written_is_unavailable(store: SqliteStore) -> None:
    with store._database.reading() as connection:
        connection.execute("PRAGMA query_only = 1")
    with pytest.raises(errors.Unavailable, match="cannot be written"):
        store.append(successor(None))


def test_a_locked_file_is_unavailable_and_says_so(path: Path) -> None:
    with SqliteStore(path), SqliteStore(path, busy_timeout_s=0.05) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(errors.Unavailable, match="locked"):
                store.append(successor(None))
            other.execute("ROLLBACK")
        assert store.append(successor(None)).seq == 1


def test_readers_do_not_wait_for_a_writer(store: SqliteStore, path: Path) -> None:
    filled(store, 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert store.head("iris") is not None
        other.execute("ROLLBACK")


def test_a_failing_write_leaves_nothing_behind(store: SqliteStore) -> None:
    head = store.append(successor(None))
    with pytest.raises(errors.Conflict):
        store.append(successor(head).model_copy(update={"seq": 7}))
    assert store.append(successor(head)).seq == 2


# Several at once


def test_another_connections_write_changes_the_token(store: SqliteStore, path: Path) -> None:
    before = store.change_token()
    with SqliteStore(path) as other:
        other.create_action(an_action())
    assert store.change_token() != before


def test_of_two_appends_to_the_same_head_one_is_a_conflict(store: SqliteStore, path: Path) -> None:
    with SqliteStore(path) as other:
        head = store.append(successor(None))
        other.append(successor(head))
        with pytest.raises(errors.Conflict):
            store.append(successor(head))
    assert len(store.revisions("iris")) == 2


def test_threads_share_a_store(store: SqliteStore) -> None:
    def append(route: str) -> None:
        filled(store, 20, route=route)
        store.put_route(route, a_spec(), now=NOW, actor="ada")

    threads = [threading.Thread(target=append, args=(f"r{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [store.verify(f"r{number}") for number in range(8)] == [None] * 8
    assert all(len(store.revisions(f"r{number}")) == 20 for number in range(8))


def test_a_new_file_may_be_opened_several_times_at_once(path: Path) -> None:
    failures: list[BaseException] = []

    def open_it() -> None:
        try:
            SqliteStore(path).close()
        except errors.FairleadError as error:
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
