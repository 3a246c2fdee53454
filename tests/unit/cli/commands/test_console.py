"""`fairlead console`: the address of the pages, or the command that makes them reachable."""

from __future__ import annotations

import getpass
import os
import shlex
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from fairlead import errors
from fairlead.cli.commands import console
from fairlead.contracts import sockets
from fairlead.contracts.platform import ControlSettings, GatewaySettings, RunningPlatform
from fairlead.control.action_socket import ActionSocket
from fairlead.control.asking import Actor, Asking
from fairlead.control.console.sessions import Sessions
from fairlead.local.state import StateFolder
from unit.control.console.scene import a_store


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = StateFolder(tmp_path / "state")
    folder.create()
    run = RunningPlatform(pid=1, gateway=GatewaySettings(), control=ControlSettings(port=18081), admin_port=9901)
    folder.write_run(run)
    return folder.root


def test_the_address_is_that_of_the_running_platform(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with StateFolder(state).locked(), a_store(state):
        console.command(state=state)
        console.command("iris", state=state)
    assert capsys.readouterr().out == "http://127.0.0.1:18081/\nhttp://127.0.0.1:18081/console/routes/iris\n"


def test_a_model_that_never_was_there_has_no_address(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with StateFolder(state).locked(), a_store(state), pytest.raises(errors.NotFound, match="rose"):
        console.command("rose", state=state)
    assert capsys.readouterr().out == ""


def test_to_act_the_address_has_a_code_of_the_control_plane(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sessions = Sessions()
    with StateFolder(state).locked(), a_store(state) as store:
        listening = ActionSocket(state / sockets.ACTIONS, Asking(store), sessions.invite)
        try:
            console.command("iris", act=True, state=state)
        finally:
            listening.close()
    address = httpx.URL(capsys.readouterr().out.strip())
    assert (address.host, address.path, address.params["model"]) == ("127.0.0.1", "/console/sign-in", "iris")
    invited = sessions.invited(address.params["code"])
    assert invited is not None
    known = hasattr(socket, "SO_PEERCRED")
    assert (invited.actor, invited.uid) == (Actor(getpass.getuser(), known), os.getuid() if known else None)


def test_a_platform_that_does_not_run_has_no_address(state: Path) -> None:
    with pytest.raises(errors.Unavailable, match="no platform runs"):
        console.command(state=state)


def test_a_browser_is_opened_only_when_asked(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = list[str]()

    def open_it(address: str) -> bool:
        opened.append(address)
        return True

    monkeypatch.setattr("webbrowser.open", open_it)
    with StateFolder(state).locked():
        console.command(state=state)
        assert opened == []
        console.command(state=state, open_it=True)
    assert opened == ["http://127.0.0.1:18081/"]


def test_a_machine_without_a_browser_is_told_the_address(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    with StateFolder(state).locked(), pytest.raises(errors.Unavailable) as raised:
        console.command(state=state, open_it=True)
    assert "http://127.0.0.1:18081/" in str(raised.value.hint)


def test_in_a_cluster_it_prints_the_command_that_forwards_the_port(capsys: pytest.CaptureFixture[str]) -> None:
    console.command("iris", namespace="models", context="prod")
    _, command, address = capsys.readouterr().out.splitlines()
    assert address == "then open http://127.0.0.1:8081/console/routes/iris"
    # Both programs of the line get the options that name the cluster.
    fake = 'kubectl() { echo "$@" >&2; echo service/fairlead-control-plane; }; '
    told = subprocess.run(["bash", "-c", fake + command], capture_output=True, text=True, check=True).stderr
    assert [shlex.split(line) for line in told.splitlines()] == [
        shlex.split(
            "get service --output name --selector app.kubernetes.io/component=control-plane"
            " --context prod --namespace models"
        ),
        shlex.split("port-forward --context prod --namespace models service/fairlead-control-plane 8081:http"),
    ]


def test_in_a_cluster_nobody_is_signed_in() -> None:
    with pytest.raises(errors.Invalid, match="so it only reads"):
        console.command("iris", namespace="models", act=True)


def test_in_a_cluster_nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(errors.Invalid, match="forwards none"):
        console.command(namespace="models", open_it=True)
