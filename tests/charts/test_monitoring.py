"""The chart of the platform installs the rules and dashboards of monitoring/ as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts.sample import IRIS
from fairlead.contracts import drift_telemetry
from support.helm import ROOT, HelmFailed, render

MONITORING = ROOT / "monitoring"
RULES: dict[str, Any] = {"monitoring": {"rules": {"renderMode": "always", "labels": {"release": "prometheus"}}}}
DASHBOARDS: dict[str, Any] = {"monitoring": {"dashboards": {"enabled": True, "annotations": {"grafana_folder": "ML"}}}}


def test_the_prometheus_rule_has_every_group_of_the_rule_files() -> None:
    rule = render("platform", RULES).one("PrometheusRule")
    files = [yaml.safe_load(path.read_text()) for path in sorted((MONITORING / "rules").glob("*.yaml"))]
    assert rule["spec"]["groups"] == [group for file in files for group in file["groups"]]
    assert rule["metadata"]["labels"]["release"] == "prometheus"


def test_there_is_a_config_map_for_each_dashboard_that_the_sidecar_of_grafana_finds() -> None:
    files = sorted((MONITORING / "dashboards").glob("*.json"))
    found = [one for one in render("platform", DASHBOARDS).of("ConfigMap") if "dashboard" in one["metadata"]["name"]]
    assert len(files) == 6
    assert {name: json.loads(text) for one in found for name, text in one["data"].items()} == {
        path.name: json.loads(path.read_text()) for path in files
    }
    for one in found:
        assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert one["metadata"]["annotations"]["grafana_folder"] == "ML"


@pytest.mark.parametrize("mode", ["never", "skipIfMissing", "failIfMissing", "always"])
def test_the_render_mode_decides_whether_the_rules_are_rendered(mode: str) -> None:
    values = {"monitoring": {"rules": {"renderMode": mode}}}
    there = render("platform", values, apis=["monitoring.coreos.com/v1/PrometheusRule"])
    assert len(there.of("PrometheusRule")) == (0 if mode == "never" else 1)
    if mode == "failIfMissing":
        with pytest.raises(
            HelmFailed, match=r"monitoring\.rules\.renderMode: is failIfMissing, but the cluster has no"
        ):
            render("platform", values)
    else:
        assert len(render("platform", values).of("PrometheusRule")) == (1 if mode == "always" else 0)


def test_every_scrape_says_which_process_it_is_of_and_that_of_drift_is_beside_it() -> None:
    always = {"podMonitor": {"renderMode": "always"}}
    monitors = [*render("platform", always).of("PodMonitor"), *render("model", {**IRIS, **always}).of("PodMonitor")]
    endpoints = [endpoint for one in monitors for endpoint in one["spec"]["podMetricsEndpoints"]]
    (drift,) = [one for one in endpoints if one["path"] == drift_telemetry.DRIFT_PATH]
    assert drift == {"port": "http", "path": drift_telemetry.DRIFT_PATH, "interval": "60s"}
    others = [one for one in endpoints if one is not drift]
    named = [one["replacement"] for each in others for one in each["relabelings"]]
    assert named == ["gateway", "control-plane", "model"]
    assert all(one["relabelings"][0]["targetLabel"] == "fairlead_process" for one in others)


def test_the_chart_has_no_copies_of_the_files() -> None:
    for name in ("rules", "dashboards"):
        assert Path(ROOT / "charts/platform/files" / name).resolve() == MONITORING / name
