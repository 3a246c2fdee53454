"""Instances are started only from copies that still hold the version that was deployed."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fairlead.contracts.instance import Instance, Wanted
from fairlead.local import child
from fairlead.local import services as services_room
from fairlead.local.child import PROGRAM
from fairlead.local.folders import version_spec
from fairlead.local.probe import Reply, ask_async
from fairlead.local.services import Services, serve
from fairlead.local.versions import why_not_started
from fairlead.store.sqlite import SqliteStore
from unit.local.test_apply import make_folder
from unit.local.test_child import until

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def wanted(folder: Path) -> Wanted:
    manifest, version = version_spec(folder)
    ref = version.ref(manifest.version)
    return Wanted(model=manifest.name, ref=ref, index=0, source=str(folder), folder=version.folder)


def wanted_by_an_earlier_fairlead(folder: Path) -> Wanted:
    manifest, version = version_spec(folder)
    ref = version.model_copy(update={"folder": ""}).ref(manifest.version)
    return Wanted(model=manifest.name, ref=ref, index=0, source=str(folder))


def sleeper(_: Wanted, port: int) -> list[str]:
    return [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "ledger.db")


def play(
    store: SqliteStore, logs: Path, story: Callable[[Services], object], command: services_room.Command = sleeper
) -> None:
    async def run() -> None:
        services = Services(store, logs, command)
        services.align()
        try:
            await story(services)  # type: ignore[misc]
        finally:
            await services.stop()

    asyncio.run(run())


def row(store: SqliteStore) -> Instance:
    return store.instances()[0]


def test_our_own_command_imports_nothing_from_the_folder_in_which_it_is_started(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise SystemExit('imported from the current folder')")
    command = [*serve(wanted(make_folder(tmp_path, "1.0.0")), 0)]
    assert command[:4] == list(PROGRAM)
    done = subprocess.run([*PROGRAM, "--version"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "fairlead" in done.stdout) == (0, True), done.stderr


def test_an_unchanged_folder_is_the_version_that_was_deployed(tmp_path: Path) -> None:
    assert why_not_started(wanted(make_folder(tmp_path, "1.0.0"))) == ""


def test_a_folder_that_cannot_be_read_is_left_to_the_service(tmp_path: Path) -> None:
    before = wanted_by_an_earlier_fairlead(make_folder(tmp_path, "1.0.0"))
    Path(before.source, "fairlead.yaml").write_text("{")
    assert why_not_started(before) == ""


@pytest.mark.parametrize("how", ["edited", "added", "deleted"])
def test_a_copy_in_which_any_file_was_changed_is_not_the_version(tmp_path: Path, how: str) -> None:
    folder = make_folder(tmp_path, "1.0.0")
    (folder / "model.py").write_text("FACTOR = 1\n")
    before = wanted(folder)
    if how == "edited":
        (folder / "model.py").write_text("FACTOR = 2\n")
    elif how == "added":
        (folder / "sitecustomize.py").write_text("")
    else:
        shutil.rmtree(folder)
    assert f"the platform's copy of iris 1.0.0, {'is gone' if how == 'deleted' else 'was changed'}" in why_not_started(
        before
    )


def test_an_artifact_changed_under_a_version_of_an_earlier_fairlead_is_found(tmp_path: Path) -> None:
    before = wanted_by_an_earlier_fairlead(make_folder(tmp_path, "1.0.0"))
    assert why_not_started(before) == ""
    make_folder(tmp_path, "1.0.0", digest="cd" * 32)
    assert "it now holds iris 1.0.0 with the artifact cdcdcdcdcdcd" in why_not_started(before)


def test_an_instance_of_a_changed_folder_is_not_started_and_says_why(tmp_path: Path, store: SqliteStore) -> None:
    store.want([wanted(make_folder(tmp_path, "1.0.0"))])
    make_folder(tmp_path, "1.0.0", digest="cd" * 32)

    async def story(services: Services) -> None:
        await until(lambda: bool(store.instances()))
        assert [one.pid for one in services.children()] == [None]

    play(store, tmp_path, story)
    (log,) = tmp_path.glob("iris-1.0.0-*.log")
    (line,) = map(json.loads, log.read_text().splitlines())
    assert line["level"] == "error"
    for said in ("not started:", "the platform's copy of iris 1.0.0, was changed", "deploy the same folder again"):
        assert said in line["message"]


def test_the_instance_reports_why_it_is_down(tmp_path: Path, store: SqliteStore) -> None:
    store.want([wanted(make_folder(tmp_path, "1.0.0"))])
    make_folder(tmp_path, "1.0.0", digest="cd" * 32)

    async def story(_: Services) -> None:
        await until(lambda: bool(store.instances()))
        assert (row(store).ready, row(store).pid) == (False, None)
        assert row(store).reason.startswith("not started: ")

    play(store, tmp_path, story)


def test_it_starts_when_the_folder_is_restored(
    tmp_path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "REFUSED_PAUSE_S", 0.02)
    store.want([wanted(make_folder(tmp_path, "1.0.0"))])
    make_folder(tmp_path, "1.0.0", digest="cd" * 32)

    async def story(_: Services) -> None:
        await until(lambda: bool(store.instances()))
        make_folder(tmp_path, "1.0.0")
        await until(lambda: row(store).pid is not None)

    play(store, tmp_path, story)


def test_a_running_instance_keeps_its_model_and_is_not_started_again_from_a_changed_folder(
    tmp_path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "FIRST_PAUSE_S", 0.02)
    store.want([wanted(make_folder(tmp_path, "1.0.0"))])

    async def story(services: Services) -> None:
        await until(lambda: bool(store.instances()) and row(store).pid is not None)
        make_folder(tmp_path, "1.0.0", digest="cd" * 32)
        (running,) = services.children()
        assert running._process is not None
        running._process.kill()
        await until(lambda: row(store).reason.startswith("not started: "))
        assert running.pid is None

    play(store, tmp_path, story)


def test_an_instance_that_ends_while_the_store_is_locked_is_started_again_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "FIRST_PAUSE_S", 0.02)
    store = SqliteStore(tmp_path / "ledger.db", busy_timeout_s=0.02)
    store.want([wanted(make_folder(tmp_path, "1.0.0"))])

    async def story(services: Services) -> None:
        await until(lambda: bool(store.instances()) and row(store).pid is not None)
        (running,) = services.children()
        first = row(store).pid
        with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert running._process is not None
            running._process.kill()
            await until(lambda: running.pid not in (None, first))
            assert row(store).pid == first, "nothing could be written"
        await until(lambda: row(store).pid == running.pid)

    play(store, tmp_path, story)


def answering(readyz: str, livez: str) -> services_room.Command:
    """A process that is ready for its first probe, and then answers its probes with these statuses."""
    code = f"""
import http.server, sys
asked = 0
class Probes(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global asked
        asked += self.path == "/readyz"
        status = {readyz} if self.path == "/readyz" else {livez}
        self.send_response(200 if asked == 1 else status)
        self.send_header("content-length", "0")
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Probes).serve_forever()
"""
    return lambda _, port: [sys.executable, "-c", code, str(port)]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(services_room, "PROBE_READY_S", 0.05)
    monkeypatch.setattr(services_room, "PROBE_STARTING_S", 0.05)
    monkeypatch.setattr(services_room, "LIVENESS_S", 0.2)


@pytest.mark.usefixtures("quick")
def test_an_instance_that_was_ready_and_is_not_alive_any_more_is_restarted(
    tmp_path: Path, store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.want([wanted(make_folder(tmp_path, "1.0.0"))])

    async def story(services: Services) -> None:
        await until(lambda: bool(store.instances()) and row(store).ready)
        first = row(store).pid
        await until(lambda: row(store).pid not in (None, first) and row(store).ready)
        assert services.children()[0].restarts >= 1

    play(store, tmp_path, story, answering("503", "503"))
    assert "has not been alive for 0.2 s and is restarted" in caplog.text


@pytest.mark.usefixtures("quick")
def test_an_instance_that_is_alive_and_not_ready_is_left_alone(
    tmp_path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    probes: list[str] = []

    async def counted(port: int, method: str, path: str) -> Reply:
        probes.append(path)
        return await ask_async(port, method, path)

    monkeypatch.setattr(services_room, "LIVENESS_S", 0.0)
    monkeypatch.setattr(services_room, "ask_async", counted)
    store.want([wanted(make_folder(tmp_path, "1.0.0"))])

    async def story(services: Services) -> None:
        await until(lambda: probes.count("/livez") >= 3)
        assert services.children()[0].restarts == 0

    play(store, tmp_path, story, answering("503", "200"))


@pytest.mark.usefixtures("quick")
def test_a_process_that_ends_at_each_start_is_reported_as_failed_with_the_last_line_of_its_log(
    tmp_path: Path, store: SqliteStore
) -> None:
    store.want([wanted(make_folder(tmp_path, "1.0.0"))])
    code = 'print(\'{"level": "error", "message": "no module named nope"}\'); raise SystemExit(3)'

    async def story(services: Services) -> None:
        await until(lambda: bool(store.instances()) and row(store).failed_at is not None)
        assert row(store).reason == (
            "its process ended at each of 4 starts before it was ready; the last one exited with code 3: "
            "no module named nope"
        )

    play(store, tmp_path, story, lambda _, port: [sys.executable, "-c", code])


def failing_to_load() -> services_room.Command:
    """A service whose model cannot be loaded."""
    code = """
import http.server, sys
class Probes(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{"type": "urn:fairlead:problem:load-failed", "detail": "the model cannot be served: ValueError: no"}'
        self.send_response(503)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Probes).serve_forever()
"""
    return lambda _, port: [sys.executable, "-c", code, str(port)]


@pytest.mark.usefixtures("quick")
def test_an_instance_that_failed_for_good_is_started_again_for_a_new_attempt_only(
    tmp_path: Path, store: SqliteStore
) -> None:
    before = wanted(make_folder(tmp_path, "1.0.0"))
    store.want([before])

    async def story(services: Services) -> None:
        await until(lambda: bool(store.instances()) and row(store).failed_at is not None)
        first = row(store)
        assert first.reason == "the model cannot be served: ValueError: no"
        services.align()
        assert row(store) == first
        store.want([before.model_copy(update={"attempt": 1})])
        services.align()
        assert (row(store).failed_at, row(store).reason) == (None, "starting")
        await until(lambda: row(store).failed_at is not None)
        assert row(store).pid != first.pid

    play(store, tmp_path, story, failing_to_load())


def test_a_version_that_is_stopped_has_no_process_and_a_row_that_a_killed_supervisor_left_goes(
    store: SqliteStore, tmp_path: Path
) -> None:
    row = wanted(make_folder(tmp_path, "1.0.0")).model_copy(update={"stopped": True})
    store.want([row])
    left = Instance(id=row.id, model=row.model, ref=row.ref, host="127.0.0.1", port=1, ready=True, observed_at=NOW)
    store.report(left)
    play(store, tmp_path, _has_nothing)
    assert store.instances() == []


async def _has_nothing(services: Services) -> None:
    assert services.children() == []
