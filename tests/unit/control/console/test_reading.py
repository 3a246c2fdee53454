"""What the console reads of a store, and how often."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from docs.evidence_picture import SCENARIO
from fairlead import errors
from fairlead.contracts.revision import Cause, Revision
from fairlead.control.console.fragments import Fragments, Topic, static_files
from fairlead.control.console.reading import DRAWN_WINDOWS, SHOWN, Reader, thinned
from fairlead.rehearsal.frames import ROUTE
from fairlead.rehearsal.virtual.ports import RELEASED_AT
from fairlead.rehearsal.virtual.simulation import play_in
from fairlead.store.sqlite import SqliteStore
from fairlead.views.attempt import attempts
from unit.control.console.scene import NOW, PLACE, Loop, a_reader, a_revision, a_status, a_store, append


class CountingStore(SqliteStore):
    """Counts how many revisions were read."""

    read = 0

    def revisions(self, route: str, *, limit: int | None = None) -> list[Revision]:
        found = super().revisions(route, limit=limit)
        self.read += len(found)
        return found


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    store = a_store(tmp_path)
    append(store, a_revision(1, cause=Cause.CREATED))
    store.set_status("iris", a_status().to_json())
    return store


@pytest.fixture(scope="module")
def rolled(tmp_path_factory: pytest.TempPathFactory) -> SqliteStore:
    """A rollout that was rolled back, by the real engine."""
    store = CountingStore(tmp_path_factory.mktemp("store") / "ledger.db")
    play_in(store, SCENARIO, seed=SCENARIO.seed)
    return store


def reader_of(store: SqliteStore) -> Reader:
    return Reader(store, Loop(), PLACE, clock=lambda: RELEASED_AT + timedelta(minutes=4))


def test_a_rollout_that_was_rolled_back_is_shown_with_its_evidence(rolled: SqliteStore) -> None:
    html = Fragments(reader_of(rolled), static_files()).page(ROUTE)
    assert "rolled-back" in html
    assert "evidence that candidate is worse than stable" in html
    assert len(html.encode()) < 200_000


def test_revisions_are_read_once_and_not_at_every_change(rolled: CountingStore) -> None:
    fragments = Fragments(reader_of(rolled), static_files())
    first = fragments.parts(Topic(ROUTE))
    before = rolled.read
    assert fragments.parts(Topic(ROUTE)) == first
    assert rolled.read == before


def test_of_a_route_that_goes_on_only_the_new_revisions_are_read(tmp_path: Path) -> None:
    store = CountingStore(tmp_path / "ledger.db")
    store.put_route("iris", a_store(tmp_path / "other").route("iris").spec, now=NOW, actor="ada")
    reader = a_reader(store)
    for seq in range(1, 2 * SHOWN):
        append(store, a_revision(seq, weight=100 * seq))
        before = store.read
        newest, *others = reader.timeline("iris")
        assert (newest.seq, len(others)) == (seq, min(seq, SHOWN) - 1)
        assert store.read - before == 1


def test_a_ledger_that_began_again_is_read_again(tmp_path: Path) -> None:
    stores = [a_store(tmp_path / name) for name in ("one", "other")]
    for seq in (1, 2, 3):
        append(stores[0], a_revision(seq, weight=100 * seq))
        append(stores[1], a_revision(seq, weight=100 * seq, actor="grace"))
    append(stores[1], a_revision(4, weight=1000, actor="grace"))
    reader = a_reader(stores[0])
    assert {one.actor for one in reader.timeline("iris")} == {"fairlead"}
    reader._store = stores[1]
    assert {one.actor for one in reader.timeline("iris")} == {"grace"}


def test_a_new_revision_is_shown_although_the_others_were_kept(store: SqliteStore) -> None:
    reader = a_reader(store)
    assert [one.seq for one in reader.timeline("iris")] == [1]
    append(store, a_revision(2, weight=500))
    assert [one.seq for one in reader.timeline("iris")] == [2, 1]


def test_the_oldest_revision_that_is_shown_says_what_it_changed(store: SqliteStore) -> None:
    for seq in range(2, SHOWN + 5):
        append(store, a_revision(seq, weight=100 * seq))
    entries = a_reader(store).timeline("iris")
    assert len(entries) == SHOWN
    assert all(one.changes for one in entries)
    assert len(a_reader(store).timeline("iris", 500)) == SHOWN + 4


def test_an_unknown_route_is_not_found(store: SqliteStore) -> None:
    reader = a_reader(store)
    for read in (reader.route, reader.timeline, reader.is_removed):
        with pytest.raises(errors.NotFound):
            read("rose")


def test_a_removed_model_keeps_its_page_with_its_ledger(store: SqliteStore) -> None:
    append(store, a_revision(2, cause=Cause.REMOVED))
    store.delete_route("iris")
    reader = a_reader(store)
    assert reader.is_removed("iris")
    parts = Fragments(reader, static_files()).parts(Topic("iris"))
    assert "iris was removed" in parts["headline"]
    assert "iris.2" in parts["timeline"]


def test_a_loop_that_hangs_is_told_on_every_page(store: SqliteStore) -> None:
    loop = Loop()
    reader = a_reader(store, loop)
    before = reader.change_token()
    assert reader.notice() == ""
    loop.beat = 1000.0 - 60
    assert "has not turned for more than 15 s" in reader.notice()
    assert reader.change_token() != before
    assert "is old" in Fragments(reader, static_files()).fleet()


def test_a_long_attempt_is_drawn_with_a_bounded_number_of_points(rolled: SqliteStore) -> None:
    (attempt,) = attempts(ROUTE, rolled.revisions(ROUTE), (), ())
    long = replace(
        attempt,
        windows=attempt.windows * 50,
        led_to=attempt.led_to * 50,
        harm=tuple(replace(one, log_e=one.log_e * 50) for one in attempt.harm),
        safe=tuple(replace(one, log_e=one.log_e * 50) for one in attempt.safe),
    )
    drawn = thinned(long)
    assert len(drawn.windows) == len(drawn.harm[0].log_e) == DRAWN_WINDOWS
    assert (drawn.windows[0], drawn.windows[-1]) == (long.windows[0], long.windows[-1])
    assert thinned(attempt) is attempt
