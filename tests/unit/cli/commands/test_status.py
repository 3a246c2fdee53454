"""`fairlead status`: what it shows of versions without instances."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from fairlead.cli.commands import status
from fairlead.contracts.platform import AuthSettings, ControlSettings, GatewaySettings, RunningPlatform
from fairlead.contracts.route import RouteSpec, Target, VersionSpec
from fairlead.contracts.status import Condition, Reason, Status, WantedInstances
from fairlead.local.state import StateFolder
from fairlead.store.sqlite import SqliteStore

VERSION = VersionSpec(source="/m/1")
REF = VERSION.ref("1.0.0")


@pytest.mark.parametrize(("instances", "present", "is_shown"), [(0, 0, True), (0, 1, False), (1, 0, False)])
def test_a_version_that_was_scaled_to_0_is_shown_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], instances: int, present: int, is_shown: bool
) -> None:
    one = WantedInstances(ref=REF, instances=instances, present=present, reason="it neither serves nor may be gone to")
    with SqliteStore(tmp_path / "ledger.db") as store:
        spec = RouteSpec(model="iris", versions={"1.0.0": VERSION}, target=Target(version="1.0.0"))
        store.put_route("iris", spec, now=datetime(2026, 1, 1, tzinfo=UTC), actor="ada")
        store.set_status("iris", Status(route="iris", observed_generation=1, stable=REF, wanted=(one,)).to_json())
    status.command("iris", state=tmp_path)
    shown = "no instances of 1.0.0: it neither serves nor may be gone to" in capsys.readouterr().out
    assert shown is is_shown


def test_what_a_rollout_waits_for_names_the_platform_that_the_user_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other").mkdir()
    with SqliteStore(Path("other", "ledger.db")) as store:
        spec = RouteSpec(model="iris", versions={"1.0.0": VERSION}, target=Target(version="1.0.0"))
        store.put_route("iris", spec, now=datetime(2026, 1, 1, tzinfo=UTC), actor="ada")
        ready = Condition(type="Ready", status=True, reason=Reason.SERVING)
        said = Status(route="iris", observed_generation=1, stable=REF, conditions=(ready,), paused=True)
        paused = said.model_copy(update={"waiting": "paused; `fairlead resume` lets it go on"})
        store.set_status("iris", paused.to_json())
    status.command("iris", state=Path("other"))
    shown = capsys.readouterr().out
    assert "`fairlead resume --state other`" in " ".join(word for word in shown.split() if word != "│"), shown


def test_clients_that_cannot_be_read_any_more_or_name_no_model_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, clients = StateFolder(tmp_path / ".fairlead"), tmp_path / "clients.yaml"
    folder.create()
    clients.touch(mode=0o600)
    clients.write_text("clients: {shop: {models: [irsi]}}")
    gateway = GatewaySettings(auth=AuthSettings(file=str(clients)))
    folder.write_run(RunningPlatform(pid=4711, gateway=gateway, control=ControlSettings(), admin_port=9901))
    with SqliteStore(folder.root / "ledger.db") as store:
        spec = RouteSpec(model="iris", versions={"1.0.0": VERSION}, target=Target(version="1.0.0"))
        store.put_route("iris", spec, now=datetime(2026, 1, 1, tzinfo=UTC), actor="ada")
        status.command(None, state=folder.root)
        assert "clients.shop.models: there is no model 'irsi'; did you mean 'iris'?" in joined(capsys)
        clients.write_text("clients: [")
        status.command(None, state=folder.root)
    assert "clients, keys and limits stay as they were" in joined(capsys)


def joined(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed, without the line breaks of a narrow terminal."""
    return " ".join(capsys.readouterr().out.split())
