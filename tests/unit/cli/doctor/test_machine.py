from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from fairlead.cli.doctor import machine
from fairlead.cli.doctor.finding import Finding, Level
from fairlead.local import envoy


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Two ports of this test in place of the usual ones."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        chosen = [one.getsockname()[1], other.getsockname()[1]]
    monkeypatch.setattr(machine, "GATEWAY", chosen[0])
    monkeypatch.setattr(machine, "CONTROL", chosen[1])
    return chosen


def wrong(state: Path) -> list[Finding]:
    return [one for one in machine.look(state) if one.level is not Level.OK]


def an_envoy(folder: Path, printed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The only Envoy that is found."""
    program = folder / "envoy"
    program.write_text(f"#!/bin/sh\necho '{printed}'\n")
    program.chmod(0o755)
    monkeypatch.setattr(envoy, "find", lambda _: program)


@pytest.fixture
def newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    an_envoy(tmp_path, "envoy  version: abc/1.38.2/Clean/RELEASE/BoringSSL", monkeypatch)


@pytest.mark.usefixtures("free", "newest")
def test_a_machine_without_a_platform_is_ok(tmp_path: Path) -> None:
    assert wrong(tmp_path / ".fairlead") == []


@pytest.mark.usefixtures("free")
def test_an_old_envoy_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    an_envoy(tmp_path, "envoy  version: abc/1.30.1/Clean/RELEASE/BoringSSL", monkeypatch)
    [found] = wrong(tmp_path / ".fairlead")
    assert (found.level, found.what) == (Level.PROBLEM, f"{tmp_path / 'envoy'} is Envoy 1.30")


@pytest.mark.usefixtures("newest")
def test_a_port_that_another_process_has_is_a_warning_unless_the_folder_has_a_platform(
    tmp_path: Path, free: list[int]
) -> None:
    state = tmp_path / ".fairlead"
    state.mkdir(mode=0o700)
    with socket.socket() as other:
        other.bind(("127.0.0.1", free[0]))
        other.listen()
        [found] = wrong(state)
        assert (found.level, found.do) == (Level.WARNING, "fairlead up FILE --port PORT")
        (state / "run.json").touch()
        assert wrong(state) == []


@pytest.mark.usefixtures("free", "newest")
def test_a_state_folder_that_others_can_open_is_a_problem(tmp_path: Path) -> None:
    state = tmp_path / ".fairlead"
    state.mkdir()
    state.chmod(0o755)
    [found] = wrong(state)
    assert (found.level, found.do) == (Level.PROBLEM, f"chmod 700 {state}")


@pytest.mark.usefixtures("free", "newest")
def test_a_full_disk_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=5 << 20))
    [found] = wrong(tmp_path / ".fairlead")
    assert found.what == f"5 MiB are free where {tmp_path / '.fairlead'} is"
    assert os.fspath(tmp_path) in found.what
