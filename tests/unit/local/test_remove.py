"""Removing a model from the store: what is written, what is refused, and the race with the engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Cause, Phase, Revision, State, find_break
from fairlead.contracts.route import RouteSpec, Target, VersionSpec
from fairlead.contracts.status import Status
from fairlead.contracts.table import Table
from fairlead.contracts.window import Counts, Window
from fairlead.local.remove import remove, wait_until_stopped
from fairlead.local.state import StateFolder
from fairlead.rollout.act import act
from fairlead.rollout.policy.observation import Decision
from fairlead.store.sqlite import SqliteStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)
VERSION = VersionSpec(source="/models/iris")
REF = VERSION.ref("1.0.0")


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    found = StateFolder(tmp_path)
    found.create()
    return found


@pytest.fixture
def store(folder: StateFolder) -> Iterator[SqliteStore]:
    with SqliteStore(folder.ledger) as store:
        spec = RouteSpec(model="iris", versions={"1.0.0": VERSION}, target=Target(version="1.0.0"))
        store.put_route("iris", spec, now=NOW, actor="a")
        yield store


def a_revision(store: SqliteStore, cause: Cause = Cause.CREATED, phase: Phase = Phase.STABLE) -> Revision:
    last = store.revisions("iris", limit=1)
    return Revision(
        route="iris",
        seq=last[-1].seq + 1 if last else 1,
        parent=last[-1].hash if last else "",
        cause=cause,
        generation=1,
        table=Table(model="iris", stable=REF, pins=(REF,)),
        state=State(target=REF, entered_at=NOW, phase=phase, attempt=3),
        created_at=NOW,
    )


def removed(store: SqliteStore, folder: StateFolder, *, yes: bool = False) -> Revision | None:
    return remove(store, folder, "iris", actor="alice", reason="unused", during_rollout=yes)


def test_the_ledger_says_who_removed_the_model_and_keeps_the_evidence(store: SqliteStore, folder: StateFolder) -> None:
    store.append(a_revision(store))
    window = Window(start=NOW, end=NOW + timedelta(seconds=5), weight=0, stable=Counts(n=3))
    store.add_window("iris", window)
    last = removed(store, folder)
    assert last is not None
    assert (last.id, last.cause, last.actor, last.reason) == ("iris.2", Cause.REMOVED, "alice", "unused")
    assert last.windows == (window,)
    assert store.head("iris") is None
    assert find_break([one.to_json() for one in store.revisions("iris")]) is None
    archived = json.loads((folder.logs / "control-plane.log").read_text())
    assert archived["revision"] == last.to_json()


def test_a_model_that_never_served_leaves_no_revision(store: SqliteStore, folder: StateFolder) -> None:
    assert removed(store, folder) is None
    assert store.routes() == []


def test_a_rollout_in_progress_is_refused_with_what_to_do(store: SqliteStore, folder: StateFolder) -> None:
    store.append(a_revision(store, phase=Phase.CANARY))
    with pytest.raises(errors.Refused, match=r"iris is being rolled out: 1\.0\.0 is in phase canary") as caught:
        removed(store, folder)
    assert caught.value.hint is not None
    assert "fairlead remove iris --yes" in caught.value.hint
    last = removed(store, folder, yes=True)
    assert last is not None
    assert last.state.phase is Phase.STABLE


def test_nothing_of_the_rollout_stays_but_the_number_of_attempts(store: SqliteStore, folder: StateFolder) -> None:
    head = a_revision(store, phase=Phase.CANARY)
    later = NOW + timedelta(hours=1)
    rollout = {"paused": True, "paused_until": later, "paused_for": 3600.0, "declined": REF, "stable_instances": 2}
    store.append(head.model_copy(update={"state": head.state.model_copy(update=rollout)}))
    last = removed(store, folder, yes=True)
    assert last is not None
    assert last.state == State(target=REF, attempt=3, entered_at=last.created_at)


def test_a_status_of_a_newer_control_plane_keeps_no_model_from_being_removed(
    store: SqliteStore, folder: StateFolder
) -> None:
    store.append(a_revision(store))
    check = {"gate": "errors", "verdict": "pass", "reason": "as good"}
    status = Status(route="iris", observed_generation=1, target=REF).to_json()
    store.set_status("iris", status | {"checks": [check], "addedLater": True})
    last = removed(store, folder)
    assert last is not None
    assert [one.reason for one in last.evidence] == ["as good"]


def test_every_later_question_says_who_removed_it(store: SqliteStore, folder: StateFolder) -> None:
    store.append(a_revision(store))
    removed(store, folder)
    for ask in (lambda: store.route("iris"), lambda: removed(store, folder), lambda: store.delete_route("iris")):
        with pytest.raises(errors.NotFound, match=r"'iris' was removed by alice in revision iris\.2: unused"):
            ask()


def test_a_tick_that_read_the_route_before_does_not_bring_it_back(store: SqliteStore, folder: StateFolder) -> None:
    store.append(a_revision(store))
    removed(store, folder)
    late = Decision(a_revision(store).model_copy(update={"seq": 1, "parent": ""}), ())
    with pytest.raises(errors.Conflict, match=r"iris was removed in revision iris\.2"):
        act(store, "iris", late, log=lambda line: None)


def test_a_first_revision_after_a_removal_continues_numbers_and_attempts(
    store: SqliteStore, folder: StateFolder
) -> None:
    spec = store.route("iris").spec
    store.append(a_revision(store))
    removed(store, folder)
    store.put_route("iris", spec, now=NOW, actor="b")
    again = act(store, "iris", Decision(a_revision(store).model_copy(update={"seq": 1, "parent": ""}), ()), log=print)
    assert again is not None
    assert (again.seq, again.cause, again.state.attempt) == (3, Cause.CREATED, 3)
    assert store.head("iris") == again


def test_an_engine_that_is_faster_makes_it_read_the_ledger_again(
    store: SqliteStore, folder: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(a_revision(store))
    heads = [store.head("iris")]
    store.append(a_revision(store, Cause.PINNED))
    read = store.head
    monkeypatch.setattr(store, "head", lambda route: heads.pop() if heads else read(route))
    last = removed(store, folder)
    assert last is not None
    assert last.seq == 3


def test_waiting_returns_the_instances_that_still_run(store: SqliteStore) -> None:
    common = {"ref": REF, "host": "127.0.0.1", "port": 1, "observed_at": NOW, "pid": 7}
    store.report(Instance(id="a", model="iris", **common))
    store.report(Instance(id="b", model="other", **common))
    times = iter(range(100))
    left = wait_until_stopped(store, "iris", timeout_s=3, monotonic=lambda: next(times), sleep=lambda s: None)
    assert left == ["1.0.0 (process 7)"]
    gone = wait_until_stopped(
        store, "iris", timeout_s=3, monotonic=lambda: 0, sleep=lambda s: store.remove_instance("a")
    )
    assert gone == []
