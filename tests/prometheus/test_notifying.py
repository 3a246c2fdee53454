"""Who is told about an alert, with the real Alertmanager and its tool."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead.contracts.control_telemetry import CONTROL_DEGRADED, CONTROL_DOWN
from fairlead.contracts.telemetry import MODEL_PHASE
from monitoring import notifying, rule_files
from monitoring.alerting import alerts
from monitoring.recording import Records
from monitoring.settings import DEFAULT
from support.alertmanager import Inbox, receiving, running_alertmanager, tools
from support.exporter import exporting
from support.processes import wait_until
from support.prometheus import running_prometheus, static

FOLDER = Path(__file__).resolve().parents[2] / "monitoring" / "alertmanager"
EVERY = alerts(Records(DEFAULT))
TEAM = {"receiver": "team-rents", "matchers": ['model="rents"'], "continue": True}
"""A route as docs/monitoring.md shows it: a team hears of its model too."""


pytestmark = pytest.mark.timeout(900)  # the first one on a machine builds Alertmanager


def amtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [tools() / "amtool", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_alertmanager_accepts_the_configuration_and_its_templates() -> None:
    done = amtool("check-config", FOLDER / "fairlead.yaml")
    assert done.returncode == 0, done.stderr
    assert "1 templates" in done.stdout


@pytest.mark.parametrize("alert", EVERY, ids=lambda one: one.name)
def test_every_alert_reaches_the_receiver_of_its_severity(alert: Any) -> None:
    labels = [f"alertname={alert.name}", f"severity={alert.severity}", "model=iris"]
    done = amtool("config", "routes", "test", f"--config.file={FOLDER / 'fairlead.yaml'}", *labels)
    assert done.stdout.strip() == f"fairlead-{alert.severity}", done.stderr


def test_an_alert_of_somebody_else_reaches_the_default_receiver() -> None:
    labels = ["alertname=KubePodCrashLooping", "severity=page"]
    done = amtool("config", "routes", "test", f"--config.file={FOLDER / 'fairlead.yaml'}", *labels)
    assert done.stdout.strip() == "default"


@pytest.mark.parametrize(
    ("labels", "name", "title"),
    [
        ({"namespace": "shop", "model": "iris"}, "FairleadModelDown", "model iris in shop: FairleadModelDown"),
        ({"namespace": "shop"}, "FairleadNoLeader", "Fairlead in shop: FairleadNoLeader"),
    ],
)
def test_a_message_says_which_model_what_and_where_the_page_is(
    labels: dict[str, str], name: str, title: str, tmp_path: Path
) -> None:
    common = {**labels, "alertname": name}
    annotations = {"summary": "the stable version does not serve", "runbook_url": f"https://runbooks/{name}"}
    alert = {"status": "firing", "labels": common, "annotations": annotations}
    data = {"status": "firing", "alerts": [alert], "groupLabels": labels, "commonLabels": common}
    (tmp_path / "data.json").write_text(json.dumps(data))
    text = '{{ template "fairlead.title" . }}\n{{ template "fairlead.text" . }}'
    given = [
        f"--template.glob={FOLDER / '*.tmpl'}",
        f"--template.text={text}",
        f"--template.data={tmp_path / 'data.json'}",
    ]
    done = amtool("template", "render", *given)
    assert done.stdout.splitlines()[:3] == [title, "the stable version does not serve", f"https://runbooks/{name}"], (
        done
    )


def test_every_alert_that_explains_or_is_explained_exists_and_none_explains_itself() -> None:
    known = {one.name for one in EVERY}
    for cause, effects, _ in notifying.EXPLAINED:
        assert {cause, *effects} <= known
        assert cause not in effects


def test_no_alert_is_silenced_by_one_that_is_less_severe() -> None:
    severity = {one.name: ["info", "ticket", "page"].index(one.severity) for one in EVERY}
    for cause, effects, _ in notifying.EXPLAINED:
        assert severity[cause] >= max(severity[effect] for effect in effects)


@dataclass
class Scene:
    """Models as their metrics show them; a test changes them while Prometheus scrapes."""

    inbox: Inbox
    down: set[str] = field(default_factory=set)
    degraded: set[str] = field(default_factory=set)
    failed: set[tuple[str, str]] = field(default_factory=set)

    def series(self) -> str:
        lines = [f'{CONTROL_DOWN.name}{{model="{one}"}} {int(one in self.down)}' for one in ("iris", "rents")]
        lines += [f'{CONTROL_DEGRADED.name}{{model="{one}"}} {int(one in self.degraded)}' for one in ("iris", "rents")]
        lines += [
            f'{MODEL_PHASE.name}{{model="{model}",version="{version}",phase="failed"}} 1'
            for model, version in sorted(self.failed)
        ]
        return "\n".join([*lines, ""])


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Real Prometheus with our alerts, without their patience, and real Alertmanager with our configuration."""
    with ExitStack() as stack:
        url, inbox = stack.enter_context(receiving())
        scene = Scene(inbox)
        page = stack.enter_context(exporting(scene.series))
        manager = stack.enter_context(
            running_alertmanager(tmp_path / "alertmanager", _impatient(url), FOLDER / "fairlead.tmpl")
        )
        rules = rule_files.alerting_rules(DEFAULT)
        for rule in rules["groups"][0]["rules"]:
            rule["for"] = "0s"
        stack.enter_context(
            running_prometheus(
                tmp_path / "prometheus",
                [static("control-plane", page, namespace="shop")],
                rules=[rules],
                alertmanagers=[manager],
            )
        )
        yield scene


def _impatient(url: str) -> dict[str, Any]:
    """The configuration with receivers, the route of a team and waits of a second."""
    whole: dict[str, Any] = yaml.safe_load((FOLDER / "fairlead.yaml").read_text())
    ours = whole["route"]["routes"][0]
    ours["group_interval"] = "1s"
    for route in ours["routes"]:
        route["group_wait"] = "1s"
    ours["routes"].insert(0, TEAM)
    whole["receivers"].append({"name": TEAM["receiver"]})
    for receiver in whole["receivers"]:
        receiver["webhook_configs"] = [{"url": url, "send_resolved": True}]
    return whole


def test_the_most_important_alert_of_a_model_is_told_once_and_its_effects_are_not(scene: Scene) -> None:
    scene.down.add("iris")
    scene.degraded |= {"iris", "rents"}
    # Both are sent after a second of their own, in any order.
    wait_until(lambda: all(map(scene.inbox.told, ("fairlead-ticket", "fairlead-page"))), "both receivers are told")
    assert scene.inbox.told("fairlead-page") == {("FairleadModelDown", "iris", "")}
    assert scene.inbox.told("fairlead-ticket") == {("FairleadDegraded", "rents", "")}
    assert not scene.inbox.told("default")


def test_what_ends_is_told_to_who_was_told_that_it_began(scene: Scene) -> None:
    scene.down.add("iris")
    wait_until(lambda: bool(scene.inbox.told("fairlead-page")), "the page is sent")
    scene.down.clear()
    ended = {("FairleadModelDown", "iris", "")}
    wait_until(lambda: scene.inbox.told("fairlead-page", "resolved") == ended, "its end is sent")


def test_both_versions_of_a_model_are_one_message_and_a_team_hears_of_its_own_model(scene: Scene) -> None:
    scene.failed |= {("rents", "1.0.0"), ("rents", "1.1.0"), ("iris", "2.0.0")}
    of_rents = {("FairleadInstanceFailed", "rents", version) for version in ("1.0.0", "1.1.0")}
    everything = of_rents | {("FairleadInstanceFailed", "iris", "2.0.0")}
    wait_until(lambda: scene.inbox.told("fairlead-ticket") == everything, "all are told")
    wait_until(lambda: scene.inbox.told("team-rents") == of_rents, "the team is told")
    groups = {tuple(sorted(one["groupLabels"].items())) for one in scene.inbox.messages}
    assert groups == {(("model", name), ("namespace", "shop")) for name in ("iris", "rents")}
