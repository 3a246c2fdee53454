"""The action socket, with a real store and a thread that carries out actions as the engine does."""

from __future__ import annotations

import getpass
import json
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import pytest

from fairlead import errors
from fairlead.cli.action_client import RECONNECT_TIMEOUT_S, ask
from fairlead.cli.commands import pause, rollback
from fairlead.cli.options import PlatformLocation
from fairlead.contracts import sockets
from fairlead.contracts.action import ActionType, Outcome
from fairlead.contracts.instance import Instance
from fairlead.contracts.route import RouteSpec
from fairlead.control.action_socket import MAX_BYTES, ActionSocket
from fairlead.control.asking import Asking
from fairlead.control.console.sessions import Sessions
from fairlead.local.state import StateFolder
from fairlead.store.sqlite import SqliteStore
from support.background import repeat_in_background
from unit.rollout.policy.builders import V1, V2, a_head, canary

SPEC = RouteSpec.model_validate({"model": "iris", "versions": {"1.0.0": {}}, "target": {"version": "1.0.0"}})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(tmp_path / "ledger.db") as store:
        store.put_route("iris", SPEC, now=datetime.now(UTC), actor="test")
        yield store


@contextmanager
def opened(folder: Path, store: SqliteStore, *, within_s: float = 5.0) -> Iterator[None]:
    listening = ActionSocket(folder / sockets.ACTIONS, Asking(store, answer_timeout_s=within_s), Sessions().invite)
    try:
        yield
    finally:
        listening.close()


@contextmanager
def engine(store: SqliteStore, outcome: Outcome, message: str = "") -> Iterator[None]:
    """Finishes every pending action."""

    def work() -> None:
        for action in store.actions(outcome=Outcome.PENDING):
            store.finish_action(action.name, outcome, message=message, revision=7)

    with repeat_in_background(work, pause_s=0.002):
        yield


def request(folder: Path, verb: str, options: Mapping[str, object] = MappingProxyType({})) -> None:
    """What the command of this name asks for."""
    ask(PlatformLocation(folder), "iris", verb, reason="", as_json=False, options=options)


def send(folder: Path, line: bytes) -> dict[str, dict[str, str]]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(folder / sockets.ACTIONS))
        connection.sendall(line)
        answer: dict[str, dict[str, str]] = json.loads(connection.makefile("rb").readline())
        return answer


def test_a_request_is_carried_out_and_its_outcome_printed(
    tmp_path: Path, store: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(tmp_path, store), engine(store, Outcome.ACCEPTED, "back to 1.0.0"):
        ask(PlatformLocation(tmp_path), "iris", "rollback", reason="worse", as_json=False)
    assert capsys.readouterr().out == "iris: rollback accepted, revision iris.7. back to 1.0.0\n"


def test_the_actor_is_the_user_that_the_kernel_reports(
    tmp_path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FAIRLEAD_ACTOR", raising=False)
    with opened(tmp_path, store), engine(store, Outcome.ACCEPTED):
        request(tmp_path, "pause")
    (action,) = store.actions("iris")
    assert (action.actor, action.actor_verified) == (getpass.getuser(), hasattr(socket, "SO_PEERCRED"))


def test_a_claimed_actor_is_recorded_as_claimed(
    tmp_path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRLEAD_ACTOR", "pipeline 12")
    with opened(tmp_path, store), engine(store, Outcome.ACCEPTED):
        request(tmp_path, "pause")
    (action,) = store.actions("iris")
    assert (action.actor, action.actor_verified) == ("pipeline 12", False)


def test_a_refusal_comes_back_with_its_reason(tmp_path: Path, store: SqliteStore) -> None:
    with (
        opened(tmp_path, store),
        engine(store, Outcome.REFUSED, "no rollout is under way"),
        pytest.raises(errors.Refused, match="no rollout is under way"),
    ):
        request(tmp_path, "pause")


def test_when_the_engine_does_not_answer_the_client_is_told_and_the_action_stays_stored(
    tmp_path: Path, store: SqliteStore
) -> None:
    with opened(tmp_path, store, within_s=0.05), pytest.raises(errors.Unavailable, match="is stored as rollback-"):
        request(tmp_path, "rollback")
    (action,) = store.actions("iris")
    assert action.outcome is Outcome.PENDING


def test_an_unknown_model_is_refused_with_the_known_ones_as_a_hint(tmp_path: Path, store: SqliteStore) -> None:
    with opened(tmp_path, store), pytest.raises(errors.NotFound, match="rose") as raised:
        ask(PlatformLocation(tmp_path), "rose", "rollback", reason="", as_json=False)
    assert "iris" in str(raised.value.hint)


@pytest.mark.parametrize(
    "line",
    [b"{", b"[]", b"1", b'{"model": "iris", "type": "explode", "name": "x"}', b'{"model": "iris", "type": "pause"}'],
)
def test_an_invalid_request_is_refused_and_stores_nothing(tmp_path: Path, store: SqliteStore, line: bytes) -> None:
    with opened(tmp_path, store):
        assert send(tmp_path, line + b"\n")["error"]["kind"] == "Invalid"
    assert store.actions() == []


def test_a_line_above_the_limit_is_refused(tmp_path: Path, store: SqliteStore) -> None:
    with opened(tmp_path, store):
        assert send(tmp_path, b"[" * (MAX_BYTES + 1))["error"]["kind"] == "Invalid"


def test_only_the_owner_may_connect(tmp_path: Path, store: SqliteStore) -> None:
    with opened(tmp_path, store):
        assert stat.S_IMODE(os.stat(tmp_path / sockets.ACTIONS).st_mode) == 0o600


def test_the_client_waits_for_a_control_plane_that_restarts(tmp_path: Path, store: SqliteStore) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(tmp_path / sockets.ACTIONS))  # as left by a killed process: no listener behind it

    answered = threading.Event()

    def come_back() -> None:
        time.sleep(0.1)
        with opened(tmp_path, store), engine(store, Outcome.ACCEPTED):
            answered.wait(30)

    thread = threading.Thread(target=come_back)
    thread.start()
    try:
        request(tmp_path, "rollback")
    finally:
        answered.set()
        thread.join()
    assert [action.outcome for action in store.actions("iris")] == [Outcome.ACCEPTED]


def test_without_a_platform_the_error_says_so(tmp_path: Path) -> None:
    with pytest.raises(errors.Unavailable, match="there is no platform"):
        request(tmp_path, "rollback")
    (tmp_path / "ledger.db").touch()
    with pytest.raises(errors.Unavailable, match="is not running"):
        request(tmp_path, "rollback")


def test_a_platform_that_was_stopped_is_told_at_once_and_not_waited_for(tmp_path: Path, store: SqliteStore) -> None:
    with StateFolder(tmp_path).locked(), socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / sockets.ACTIONS))
    began = time.monotonic()
    with pytest.raises(errors.Unavailable, match="is not running"):
        request(tmp_path, "rollback")
    assert time.monotonic() - began < RECONNECT_TIMEOUT_S / 3


def test_the_options_reach_the_action(tmp_path: Path, store: SqliteStore) -> None:
    options = {"evenIfDown": True, "evenIfStableServes": True, "pauseFor": "1h30m", "toRevision": "iris.12"}
    with opened(tmp_path, store), engine(store, Outcome.ACCEPTED):
        request(tmp_path, "pause", options)
    (action,) = store.actions("iris")
    assert (action.even_if_down, action.even_if_stable_serves, action.pause_for, action.to_revision) == (
        True,
        True,
        5400.0,
        12,
    )


@pytest.mark.parametrize("verb", list(ActionType))
def test_every_action_is_for_the_attempt_that_was_seen(tmp_path: Path, store: SqliteStore, verb: ActionType) -> None:
    store.append(canary(attempt=3).model_copy(update={"seq": 1, "parent": "", "generation": 1}))
    with opened(tmp_path, store), engine(store, Outcome.ACCEPTED):
        ask(PlatformLocation(tmp_path), "iris", verb, reason="", as_json=False)
        send(tmp_path, json.dumps({"name": "older", "model": "iris", "type": verb}).encode() + b"\n")
    step = 0 if verb is ActionType.APPROVE else None
    bound = [(action.attempt, action.step, action.generation) for action in store.actions("iris")]
    assert bound == [(3, step, None)] * 2  # of this command, and of one that does not say what it saw


@pytest.mark.parametrize("verb", list(ActionType))
def test_after_a_release_that_waits_for_the_engine_only_what_raises_no_weight_is_for_that_release_too(
    tmp_path: Path, store: SqliteStore, verb: ActionType
) -> None:
    store.append(a_head(seq=1).model_copy(update={"parent": "", "generation": 0}))
    with opened(tmp_path, store), engine(store, Outcome.ACCEPTED):
        ask(PlatformLocation(tmp_path), "iris", verb, reason="", as_json=False)
    (action,) = store.actions("iris")
    assert action.generation == (None if verb in (ActionType.APPROVE, ActionType.PROMOTE) else 1)


def test_a_request_that_waits_for_a_control_plane_that_hangs_is_for_what_was_seen_when_it_was_made(
    tmp_path: Path, store: SqliteStore
) -> None:
    first = store.append(canary(attempt=3).model_copy(update={"seq": 1, "parent": "", "generation": 1}))
    with socket.socket(socket.AF_UNIX) as hangs, ThreadPoolExecutor(1) as shell:
        hangs.bind(str(tmp_path / sockets.ACTIONS))
        hangs.listen()
        asking = shell.submit(ask, PlatformLocation(tmp_path), "iris", "rollback", reason="", as_json=False)
        with hangs.accept()[0] as connection:
            line = connection.makefile("rb").readline()
            connection.sendall(b'{"error": {"kind": "Unavailable", "message": "it hangs", "hint": null}}\n')
        with pytest.raises(errors.Unavailable, match="it hangs"):
            asking.result()
    received = datetime.now(UTC)
    store.append(canary(attempt=4).model_copy(update={"seq": 2, "parent": first.hash, "generation": 2}))
    with opened(tmp_path, store), engine(store, Outcome.EXPIRED):
        send(tmp_path, line)
    (action,) = store.actions("iris")
    assert (action.attempt, action.created_at < received) == (3, True)


def test_a_request_that_came_too_late_is_a_conflict_with_a_sentence(tmp_path: Path, store: SqliteStore) -> None:
    late = pytest.raises(errors.Conflict, match="rollback of iris came too late: attempt 4 has begun")
    with opened(tmp_path, store), engine(store, Outcome.EXPIRED, "attempt 4 has begun"), late:
        ask(PlatformLocation(tmp_path), "iris", "rollback", reason="", as_json=False)


def test_a_rollback_may_name_a_version(tmp_path: Path, store: SqliteStore) -> None:
    store.append(a_head(seq=1).model_copy(update={"parent": ""}))
    with opened(tmp_path, store), engine(store, Outcome.ACCEPTED):
        request(tmp_path, "rollback", {"toRevision": "1.0.0"})
        with pytest.raises(errors.NotFound, match="'7.7.7' is no revision of iris"):
            request(tmp_path, "rollback", {"toRevision": "7.7.7"})
    assert [action.to_revision for action in store.actions("iris")] == [1]


@pytest.mark.parametrize(("text", "seconds"), [("1s", 1.0), ("30m", 1800.0), ("1h30m", 5400.0), ("7d", 604800.0)])
def test_a_pause_may_have_a_length(tmp_path: Path, store: SqliteStore, text: str, seconds: float) -> None:
    with opened(tmp_path, store), engine(store, Outcome.ACCEPTED):
        pause.command("iris", lasts=text, state=tmp_path)
    assert [action.pause_for for action in store.actions("iris")] == [seconds]


def test_a_pause_without_a_length_has_no_end(tmp_path: Path, store: SqliteStore) -> None:
    with opened(tmp_path, store), engine(store, Outcome.ACCEPTED):
        pause.command("iris", state=tmp_path)
    assert [action.pause_for for action in store.actions("iris")] == [None]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        *((text, "not a duration") for text in ("soon", "", "-5m", "30", "5 m")),
        *((text, "lasts 1s to 7d") for text in ("0s", "999ms", "8d", "400d")),
    ],
)
def test_a_silly_length_is_an_error_and_nothing_is_stored(
    tmp_path: Path, store: SqliteStore, text: str, why: str
) -> None:
    with opened(tmp_path, store), pytest.raises(errors.Invalid, match=why):
        pause.command("iris", lasts=text, state=tmp_path)
    assert store.actions() == []


@pytest.mark.parametrize(("to", "revision"), [("iris.12", 12), ("12", 12), ("1.0.0", 1), (None, None)])
def test_the_command_rollback_takes_revisions_and_versions(
    tmp_path: Path, store: SqliteStore, to: str | None, revision: int | None
) -> None:
    store.append(a_head(seq=1).model_copy(update={"parent": ""}))
    with opened(tmp_path, store), engine(store, Outcome.ACCEPTED):
        rollback.command("iris", to=to, even_if_down=True, state=tmp_path)
    assert [(action.to_revision, action.even_if_down) for action in store.actions("iris")] == [(revision, True)]


def test_a_refused_rollback_lists_the_versions_that_it_would_accept(tmp_path: Path, store: SqliteStore) -> None:
    versions = {name: {"source": f"/m/{name}"} for name in ("1.0.0", "1.1.0")}
    spec = RouteSpec.model_validate({"model": "iris", "versions": versions, "target": {"version": "1.1.0"}})
    store.put_route("iris", spec, now=datetime.now(UTC), actor="test")
    first = store.append(a_head(stable=V1, seq=1).model_copy(update={"parent": ""}))
    store.append(a_head(stable=V2, seq=2).model_copy(update={"parent": first.hash}))
    store.report(Instance(id="a", model="iris", ref=V1, host="h", port=1, ready=True, observed_at=datetime.now(UTC)))
    with (
        opened(tmp_path, store),
        engine(store, Outcome.REFUSED, "nothing before 1.1.0"),
        pytest.raises(errors.Refused) as raised,
    ):
        request(tmp_path, "rollback")
    assert raised.value.hint == "versions to go back to: 1.0.0; for example fairlead rollback iris --to 1.0.0"


@pytest.mark.parametrize("verb", ["approve", "pause", "promote", "resume", "retry", "rollback"])
def test_every_verb_of_the_command_line_is_an_action_type(verb: str) -> None:
    assert ActionType(verb)
