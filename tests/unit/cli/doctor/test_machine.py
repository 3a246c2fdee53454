from __future__ import annotations

import json
import os
import shutil
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fairlead.cli.doctor import machine
from fairlead.cli.doctor.finding import Finding, Level, examine
from fairlead.contracts.platform import (
    AuthSettings,
    ControlSettings,
    EntryTlsSettings,
    GatewaySettings,
    RunningPlatform,
)
from fairlead.local import envoy
from fairlead.local.apply import apply, read_platform
from fairlead.local.state import StateFolder
from fairlead.local.versions import VersionCopies
from fairlead.store.sqlite import SqliteStore
from support import folders
from support.cluster.certificates import Authority


def a_file(folder: Path, ports: list[int], more: str = "") -> Path:
    file = folder / "platform.yaml"
    file.write_text(f"gateway: {{port: {ports[0]}{more}}}\ncontrol: {{port: {ports[1]}}}\n")
    return file


@pytest.fixture
def free() -> list[int]:
    """Two ports that nobody has."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return [one.getsockname()[1], other.getsockname()[1]]


@pytest.fixture
def file(tmp_path: Path, free: list[int]) -> Path:
    """A platform file with them, in place of the usual ones."""
    return a_file(tmp_path, free)


def wrong(state: Path, file: Path | None = None) -> list[Finding]:
    return [one for one in machine.look(state, file) if one.level is not Level.OK]


def an_envoy(folder: Path, printed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The only Envoy that is found."""
    program = folder / "envoy"
    program.write_text(f"#!/bin/sh\necho '{printed}'\n")
    program.chmod(0o755)
    monkeypatch.setattr(envoy, "find", lambda _: program)


@pytest.fixture
def newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    an_envoy(tmp_path, "envoy  version: abc/1.38.2/Clean/RELEASE/BoringSSL", monkeypatch)


@pytest.mark.usefixtures("newest")
def test_a_machine_without_a_platform_is_ok(tmp_path: Path, file: Path) -> None:
    assert wrong(tmp_path / ".fairlead", file) == []


def test_an_old_envoy_is_a_problem(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    an_envoy(tmp_path, "envoy  version: abc/1.30.1/Clean/RELEASE/BoringSSL", monkeypatch)
    [found] = wrong(tmp_path / ".fairlead", file)
    assert (found.level, found.what) == (Level.PROBLEM, f"{tmp_path / 'envoy'} is Envoy 1.30")


@pytest.mark.usefixtures("newest")
def test_a_port_of_the_platform_file_that_another_process_has_is_a_warning(
    tmp_path: Path, file: Path, free: list[int]
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", free[1]))
        other.listen()
        [found] = wrong(tmp_path / ".fairlead", file)
    assert (found.level, found.do) == (Level.WARNING, "fairlead up FILE --control-port PORT")


@pytest.mark.usefixtures("newest")
def test_without_a_file_the_ports_are_those_of_the_platform_that_ran_last_and_its_own_while_it_runs(
    tmp_path: Path, free: list[int]
) -> None:
    folder = StateFolder(tmp_path / ".fairlead")
    folder.create()
    gateway, control = GatewaySettings(port=free[0]), ControlSettings(port=free[1])
    with socket.socket() as other:
        other.bind(("127.0.0.1", free[0]))
        other.listen()
        folder.write_run(RunningPlatform(pid=4711, gateway=gateway, control=control, admin_port=9901))
        [found] = wrong(folder.root)
        assert found.what == f"another process listens on port {free[0]}"
        with folder.locked():
            assert wrong(folder.root) == []


@pytest.mark.usefixtures("newest")
def test_a_platform_file_that_cannot_be_used_is_a_problem_with_its_sentence(tmp_path: Path, free: list[int]) -> None:
    file = a_file(tmp_path, free, ", prot: 1")
    [found] = wrong(tmp_path / ".fairlead", file)
    assert found.level is Level.PROBLEM
    assert "gateway.prot: unknown field; did you mean 'port'?" in found.what


@pytest.mark.usefixtures("newest")
@pytest.mark.parametrize(
    ("source", "version", "what"),
    [
        ("nope", "1.0.0", "models.iris.versions.1.0.0: there is no folder"),
        ("iris", "2.0.0", "models.iris.versions.2.0.0: the folder iris holds iris 1.0.0"),
        ("iris", "1.0.0", None),
    ],
)
def test_a_version_whose_folder_is_not_there_or_holds_another_one_is_a_problem(
    tmp_path: Path, free: list[int], source: str, version: str, what: str | None
) -> None:
    folders.make(tmp_path / "iris", name="iris", version="1.0.0")
    file = a_file(tmp_path, free)
    model = {"iris": {"target": version, "versions": {version: {"source": source}}}}
    file.write_text(f"{file.read_text()}models: {json.dumps(model)}\n")
    found = wrong(tmp_path / ".fairlead", file)
    assert [(one.level, one.what[: len(what or "")]) for one in found] == ([(Level.PROBLEM, what)] if what else [])


@pytest.mark.usefixtures("newest")
def test_a_version_that_was_deployed_with_other_content_is_a_problem(tmp_path: Path, free: list[int]) -> None:
    folders.make(tmp_path / "iris", name="iris", version="1.0.0")
    file = a_file(tmp_path, free)
    file.write_text(f"{file.read_text()}models: {{iris: {{target: 1.0.0, versions: {{1.0.0: {{source: iris}}}}}}}}\n")
    state = tmp_path / ".fairlead"
    StateFolder(state).create()
    with SqliteStore(state / "ledger.db") as store:
        now, copies = datetime(2026, 1, 1, tzinfo=UTC), VersionCopies(state / "versions")
        apply(store, read_platform(file), tmp_path, copies, now=now, actor="ann")
    assert wrong(state, file) == []
    (tmp_path / "iris" / "notes.txt").write_text("changed")
    [found] = wrong(state, file)
    assert found.level is Level.PROBLEM
    assert "is not what was deployed as iris 1.0.0" in found.what


@pytest.mark.usefixtures("newest")
def test_a_client_of_a_model_that_is_not_there_is_a_warning_that_guesses_the_name(
    tmp_path: Path, free: list[int]
) -> None:
    clients(tmp_path, "clients: {shop: {models: [irsi], modelLimits: {fraud: {rate: 1}}}}")
    file = a_file(tmp_path, free, ", auth: {file: clients.yaml}")
    model = {"iris": {"target": "1", "versions": {"1": {"source": "a"}}}}
    file.write_text(f"{file.read_text()}models: {json.dumps(model)}\n")
    _, one, other = wrong(tmp_path / ".fairlead", file)  # the first one: there is no such folder
    assert (one.level, other.level) == (Level.WARNING, Level.WARNING)
    assert one.what.endswith("clients.shop.models: there is no model 'irsi'; did you mean 'iris'?")
    assert other.what.endswith("clients.shop.modelLimits: there is no model 'fraud'")


@pytest.mark.usefixtures("newest")
def test_a_document_of_clients_that_became_wrong_while_the_platform_runs_is_a_problem(
    tmp_path: Path, free: list[int]
) -> None:
    folder = StateFolder(tmp_path / ".fairlead")
    folder.create()
    auth = AuthSettings(file=str(clients(tmp_path, "clients: [")))
    gateway, control = GatewaySettings(port=free[0], auth=auth), ControlSettings(port=free[1])
    folder.write_run(RunningPlatform(pid=4711, gateway=gateway, control=control, admin_port=9901))
    [found] = wrong(folder.root)
    assert (found.level, found.why.partition(",")[0]) == (Level.PROBLEM, "clients")
    assert "clients.yaml" in found.what


def clients(folder: Path, text: str) -> Path:
    file = folder / "clients.yaml"
    file.touch(mode=0o600)
    file.write_text(text)
    return file


@pytest.mark.usefixtures("newest")
def test_a_state_folder_that_others_can_open_is_a_problem(tmp_path: Path, file: Path) -> None:
    state = tmp_path / ".fairlead"
    state.mkdir()
    state.chmod(0o755)
    [found] = wrong(state, file)
    assert (found.level, found.do) == (Level.PROBLEM, f"chmod 700 {state}")


@pytest.mark.usefixtures("newest")
def test_a_full_disk_is_a_warning(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=5 << 20))
    [found] = wrong(tmp_path / ".fairlead", file)
    assert found.what == f"5 MiB are free where {tmp_path / '.fairlead'} is"
    assert os.fspath(tmp_path) in found.what


@pytest.mark.parametrize(
    ("days", "level", "said"),
    [
        ("90", Level.OK, "the certificate of the entry can be used"),
        ("3", Level.WARNING, "ends in 3 days"),
        ("-1", Level.PROBLEM, "has expired"),
    ],
)
def test_the_certificate_of_the_entry_is_looked_at(tmp_path: Path, days: str, level: Level, said: str) -> None:
    certificate, key = Authority(tmp_path / "authority").create().issue("a", hosts=["127.0.0.1"], days=days)
    tls = EntryTlsSettings(certificate=str(certificate), key=str(key))
    where = machine.Machine(tmp_path, GatewaySettings(tls=tls))
    [check] = [one for one in machine.CHECKS if one.run is machine.certificate_lasts]
    [found] = examine(where, [check])
    assert found.level is level
    assert said in found.what


def test_a_certificate_with_a_comment_that_is_not_utf8_is_looked_at(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path / "authority").create().issue("a", hosts=["127.0.0.1"], days="3")
    certificate.write_bytes("# für den Laden\n".encode("latin-1") + certificate.read_bytes())
    where = machine.Machine(tmp_path, GatewaySettings(tls=EntryTlsSettings(certificate=str(certificate), key=str(key))))
    [check] = [one for one in machine.CHECKS if one.run is machine.certificate_lasts]
    [found] = examine(where, [check])
    assert "ends in 3 days" in found.what


def test_a_certificate_that_is_not_there_is_a_fault_of_the_platform_file(tmp_path: Path, free: list[int]) -> None:
    file = a_file(tmp_path, free, ", tls: {certificate: a.crt, key: a.key}")
    wrong = [one for one in machine.look(tmp_path / ".fairlead", file) if one.level is Level.PROBLEM]
    assert [f"the certificate {tmp_path / 'a.crt'} cannot be read" in one.what for one in wrong] == [True]
