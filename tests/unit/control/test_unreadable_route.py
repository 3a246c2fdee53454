"""One route whose spec cannot be read, in a control plane that starts fresh: the others go on, and it keeps serving."""

from __future__ import annotations

import json
import logging
from datetime import timedelta

import httpx
import pytest
import typer
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from fairlead import errors
from fairlead.cli.commands import status as status_command
from fairlead.contracts.action import Action, ActionType, Outcome
from fairlead.contracts.route import RouteSpec, Target, VersionSpec
from fairlead.contracts.status import Status
from fairlead.control.api import build_api
from fairlead.control.desired_state import DesiredState
from fairlead.control.endpoints import ServiceNames
from fairlead.control.metrics import Metrics
from fairlead.routing.references import routes_in
from fairlead.routing.snapshot import Settings
from fairlead.store.base import Store
from unit.control.test_api import Client, FakeLoop
from unit.rollout.simulated_platform import START, Platform, at_step


def put(platform: Platform, name: str, *, model: str | None = None, at: float = 0) -> None:
    versions = {"1.0.0": VersionSpec(source=f"/m/{name}", artifact=name)}
    spec = RouteSpec(model=model or name, versions=versions, target=Target(version="1.0.0"))
    platform.store.put_route(name, spec, now=START + timedelta(seconds=at), actor="ada")


def break_spec(platform: Platform, name: str) -> None:
    """What a newer Fairlead may write, met by a process that never read the route before."""
    with platform.store._database.writing() as connection:
        row = connection.execute("SELECT document FROM routes WHERE name = ?", (name,)).fetchone()
        document = json.loads(row[0])
        document["spec"]["target"] = 7
        connection.execute("UPDATE routes SET document = ? WHERE name = ?", (json.dumps(document), name))
    platform.store._read.clear()
    platform.engine = platform.started()


@pytest.fixture
def platform() -> Platform:
    """Iris and wine serve; then wine's spec becomes unreadable and the control plane is restarted."""
    platform = Platform()
    platform.deploy()
    put(platform, "wine")
    platform.settle()
    break_spec(platform, "wine")
    return platform


def status_of(platform: Platform, name: str) -> Status:
    return Status.model_validate(platform.store.status(name))


def test_the_other_routes_go_on_with_their_rollouts(platform: Platform) -> None:
    at_step(platform, 500)
    platform.ask(ActionType.ROLLBACK)
    platform.tick(1)
    assert platform.head.table.weight == 0


def test_its_status_says_what_is_wrong_and_what_still_serves(platform: Platform) -> None:
    platform.tick(1)
    status = status_of(platform, "wine")
    assert status.waiting.startswith("route 'wine' cannot be read: spec.target: ")
    assert "until its spec is corrected or Fairlead is upgraded" in status.waiting
    assert (str(status.stable), status.revision) == ("1.0.0", "wine.1")
    ready, progressing = status.condition("Ready"), status.condition("Progressing")
    assert ready is not None
    assert (ready.status, ready.message) == (True, "1.0.0 serves")
    assert [gateway.name for gateway in status.gateways] == ["e1", "e2"]
    assert progressing is not None
    assert (progressing.status, progressing.reason) == (False, "Unreadable")


def test_it_keeps_its_instances_and_its_published_table(platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    desired = DesiredState(platform.store, ServiceNames(), Settings(port=8080))
    platform.settle(3)
    assert [row.id for row in platform.store.wanted() if row.model == "wine"] != []
    with caplog.at_level(logging.ERROR, "fairlead.control"):
        snapshots = [desired.snapshot(), desired.snapshot()]
    assert snapshots[0].revisions == {"iris": platform.head.seq, "wine": 1}
    names = {route["name"] for each in snapshots[0].routes.values() for route in routes_in(each)}
    assert "wine:split:predict" in names
    assert [record.getMessage()[:27] for record in caplog.records] == ["route 'wine' cannot be read"]


def test_requests_about_it_are_refused_with_the_reason(platform: Platform) -> None:
    asked = Action(name="a1", route="wine", type=ActionType.ROLLBACK, actor="bob", created_at=platform.now)
    platform.store.create_action(asked)
    platform.tick(1)
    action = platform.store.action("a1")
    assert action.outcome is Outcome.REFUSED
    assert action.message.startswith("route 'wine' cannot be read")


def test_requests_that_cannot_be_refused_now_stop_no_other_route(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Action(name="a1", route="wine", type=ActionType.ROLLBACK, actor="bob", created_at=platform.now)
    platform.store.create_action(asked)

    def not_leading(*_: object, **__: object) -> None:
        raise errors.Conflict("this control plane does not lead there")

    with monkeypatch.context() as patched:
        patched.setattr(platform.store, "finish_action", not_leading)
        platform.release("1.1.0")
        assert [one.route for one in platform.tick(1)] == ["iris"]
    assert platform.store.action("a1").outcome is Outcome.PENDING
    platform.tick(1)
    assert platform.store.action("a1").outcome is Outcome.REFUSED


def test_a_younger_route_does_not_take_its_model(platform: Platform) -> None:
    put(platform, "wine-2", model="wine", at=60)
    platform.settle(3)
    assert platform.store.head("wine-2") is None
    conflict = status_of(platform, "wine-2").condition("Conflict")
    assert conflict is not None
    assert conflict.message == "'wine' belongs to route 'wine'"


def test_an_older_route_that_changes_its_model_does_not_take_it_either(platform: Platform) -> None:
    platform.change(model="wine")
    platform.settle(3)
    assert platform.head.table.model == "iris"
    assert "route 'wine' already serves 'wine'" in status_of(platform, "iris").waiting


def test_it_goes_on_when_its_spec_can_be_read_again(platform: Platform) -> None:
    platform.tick(1)
    platform.store.delete_route("wine")
    put(platform, "wine")
    platform.settle(3)
    assert status_of(platform, "wine").condition("Ready") is not None
    assert platform.store.unreadable_routes() == []


def test_the_api_and_the_metrics_still_have_both(platform: Platform) -> None:
    platform.tick(1)
    client = Client(build_api(platform.store, FakeLoop()))
    models = {one["name"]: one for one in client.get("/models").json()["models"]}
    assert models["wine"]["weights"] == {"1.0.0": 10_000}
    assert models.keys() == {"iris", "wine"}
    assert {one["name"] for one in client.post("/v2/repository/index").json()} == {"iris", "wine"}
    (broken,) = client.get("/api/v1/routes").json()["unreadable"]
    assert broken["message"].startswith("route 'wine' cannot be read")
    explained: httpx.Response = client.post("/models/wine/predict", headers={"x-route-explain": "1"})
    assert explained.json()["revision"] == "wine.1"
    assert ("wine", "1.0.0") in weights(platform)


def weights(platform: Platform) -> set[tuple[str, str]]:
    class Leading:
        leading, refused = True, ""

    metrics = Metrics()
    metrics.add_state(platform.store, Leading(), gateways=list, sequence=lambda: 1)
    families = {one.name: one for one in text_string_to_metric_families(metrics.text().decode())}
    return {(one.labels["model"], one.labels["version"]) for one in families["fairlead_control_weight"].samples}


@pytest.mark.parametrize("model", [None, "wine"])
def test_fairlead_status_shows_it(platform: Platform, monkeypatch: pytest.MonkeyPatch, model: str | None) -> None:
    platform.tick(1)
    shown = _status(platform.store, monkeypatch, model)
    assert "route 'wine' cannot be read: spec.target" in shown
    assert ("iris" in shown) == (model is None)


def _status(store: Store, monkeypatch: pytest.MonkeyPatch, model: str | None) -> str:
    class Connection:
        def __init__(self, _: object) -> None:
            self.store = store

    monkeypatch.setattr(status_command, "connect", Connection)
    monkeypatch.setenv("COLUMNS", "400")
    app = typer.Typer()
    app.command()(status_command.command)
    result = CliRunner().invoke(app, [model] if model else [])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_ledger_that_became_unreadable_does_not_stop_what_is_published_of_the_others() -> None:
    platform = Platform()
    platform.deploy()
    put(platform, "wine")
    platform.settle()
    desired = DesiredState(platform.store, ServiceNames(), Settings(port=8080))
    before = desired.snapshot()
    with platform.store._database.writing() as connection:
        connection.execute("DROP TRIGGER revisions_are_never_changed")
        connection.execute("UPDATE revisions SET document = '{}' WHERE route = 'wine'")
    platform.release("1.1.0")
    platform.tick(1)
    after = desired.snapshot()
    assert after.revisions["wine"] == before.revisions["wine"] == 1
    assert after.revisions["iris"] > before.revisions["iris"]
