"""The mixin with a real Jsonnet: it has what the files have, and goes together with other mixins."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from support.environments import python

MONITORING = Path(__file__).resolve().parents[2] / "monitoring"
_EVALUATE = "import _jsonnet, sys; print(_jsonnet.evaluate_snippet('here', sys.argv[1], jpathdir=[sys.argv[2]]))"


@cache
def evaluated(expression: str) -> Any:
    """What Jsonnet makes of an expression over the mixin, `m`."""
    text = f"local m = import 'mixin.libsonnet'; {expression}"
    command: list[str | Path] = [python("jsonnet"), "-c", _EVALUATE, text, MONITORING]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def groups(name: str) -> Any:
    return yaml.safe_load((MONITORING / "rules" / name).read_text())["groups"]


def test_the_mixin_has_the_rules_and_alerts_of_the_files() -> None:
    assert evaluated("m.prometheusRules") == {"groups": groups("fairlead-recording.yaml")}
    assert evaluated("m.prometheusAlerts") == {"groups": groups("fairlead-alerts.yaml")}


def test_the_mixin_has_every_dashboard_under_the_name_of_its_file() -> None:
    files = {path.name: json.loads(path.read_text()) for path in (MONITORING / "dashboards").glob("*.json")}
    assert evaluated("m.grafanaDashboards") == files


def test_the_address_of_the_runbooks_can_be_changed() -> None:
    found = evaluated("(m + {_config+:: {fairlead+: {runbooks: 'https://wiki'}}}).prometheusAlerts")
    rules = [rule for group in found["groups"] for rule in group["rules"]]
    assert {rule["annotations"]["runbook_url"] for rule in rules} == {
        f"https://wiki/{rule['alert']}.md" for rule in rules
    }


def test_the_mixin_keeps_what_mixins_before_and_after_it_have() -> None:
    other = "{prometheusAlerts+:: {groups+: [{name: 'other'}]}, grafanaDashboards+:: {'other.json': {}}}"
    for expression in (f"{other} + m", f"m + {other}"):
        names = [one["name"] for one in evaluated(f"({expression}).prometheusAlerts.groups")]
        assert sorted(names) == ["fairlead-alerts", "other"]
        assert len(evaluated(f"({expression}).grafanaDashboards")) == 7
