"""The generated files in charts/ are current, and values that mirror a contract have the contract's defaults."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic.alias_generators import to_camel

from charts.sample import IRIS
from fairlead.contracts import gateway, labels
from fairlead.contracts.route import RouteSpec, Strategy, VersionRef
from fairlead.serving.settings import Settings
from support.helm import CHARTS, ROOT, HelmFailed, helm, render


def values_of(chart: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((CHARTS / chart / "values.yaml").read_text())
    return values


def test_schemas_tables_and_bootstrap_are_what_the_generator_writes() -> None:
    done = subprocess.run(
        [sys.executable, "ci/charts", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_value_without_a_comment_is_rejected() -> None:
    program = "import values_tree; values_tree.read('# a\\na: 1\\nb:\\n  # c\\n  c: 2\\n', 'values.yaml')"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT / "ci/charts", capture_output=True, text=True, check=False
    )
    assert "values.yaml:3: b has no comment" in done.stderr


@pytest.mark.parametrize("chart", ["model", "platform"])
def test_every_value_is_in_the_readme(chart: str) -> None:
    readme = (CHARTS / chart / "README.md").read_text()
    for name, value in values_of(chart).items():
        assert f"| `{name}{'.' if isinstance(value, dict) and value else '`'}" in readme or f"| `{name}`" in readme


def test_every_setting_of_the_model_service_has_a_row_in_the_readme() -> None:
    schema = json.loads((CHARTS / "model" / "values.schema.json").read_text())
    settings = schema["properties"]["workload"]["properties"]["serving"]["properties"]
    readme = (CHARTS / "model" / "README.md").read_text()
    assert [name for name in settings if f"| `workload.serving.{name}` |" not in readme] == []


@pytest.mark.parametrize("chart", ["model", "platform"])
def test_a_wrong_value_is_told_with_the_name_of_the_file_that_checks_values(chart: str) -> None:
    wrong = {"model": {**IRIS, "target": "9"}, "platform": {"gateway": {"replicas": None}}}[chart]
    with pytest.raises(HelmFailed, match=rf"fairlead-{chart}/templates/values/check\.yaml"):
        render(chart, wrong)


def test_defaults_of_a_route_are_those_of_the_contract() -> None:
    values = values_of("model")
    contract = RouteSpec.model_validate({"model": "a", "versions": {"1": {}}, "target": {"version": "1"}}).to_json()
    for name in ("sticky", "timeouts", "idempotent", "mirrors", "strategy"):
        written = RouteSpec.model_validate(
            {"model": "a", "versions": {"1": {}}, "target": {"version": "1"}, name: values[name]}
        ).to_json()
        assert written[name] == contract[name], name
    assert values["strategy"].keys() == Strategy().to_json().keys()


def test_defaults_of_the_service_are_those_of_its_settings() -> None:
    serving = values_of("model")["workload"]["serving"]
    computed = {"host", "port", "service", "folder_sha256", "check_folder", "drain_s", "finish_s"}
    # An image that is older than a setting refuses its variable, so the chart sets these only where its values do.
    newer = {"max_request_values", "max_row_keys", "max_answer_bytes", "receive_s", "max_connections"}
    newer |= {"call_timeout_s", "load_timeout_s", "spill_share", "device", "workers"}
    newer |= {"feedback_bytes", "feedback_within_s", "cache_bytes", "cache_ttl_s"}
    newer |= {name for name in Settings.model_fields if name.startswith("record_")}
    computed |= {name for name in Settings.model_fields if name.startswith("tls_")}  # from the chart's own `tls`
    defaults = {
        to_camel(name): field.default
        for name, field in Settings.model_fields.items()
        if name not in computed | newer and field.default is not None
    }
    assert serving == defaults
    assert newer <= Settings.model_fields.keys()
    text = (CHARTS / "model" / "values.yaml").read_text()
    assert [name for name in newer if to_camel(name) not in text] == []


def test_labels_are_those_that_the_store_reads() -> None:
    rendered = render("model", IRIS)
    for deployment in rendered.of("Deployment"):
        found = deployment["metadata"]["labels"]
        ref = VersionRef(version=found[labels.VERSION], identity=found[labels.IDENTITY])
        assert deployment["metadata"]["name"] == labels.version_name("iris", ref)
        assert found[labels.MODEL] == found[labels.ROUTE] == "iris"
        assert found[labels.COMPONENT] == labels.COMPONENT_MODEL
        assert deployment["spec"]["template"]["metadata"]["labels"].items() >= {
            (name, found[name]) for name in (labels.MODEL, labels.ROUTE, labels.VERSION, labels.IDENTITY)
        }
    for service in rendered.of("Service"):
        assert service["spec"]["ports"] == [
            {"name": labels.PORT_NAME, "port": labels.SERVICE_PORT, "targetPort": labels.PORT_NAME, "protocol": "TCP"}
        ]
        assert service["spec"]["clusterIP"] == "None"
    components = {one["metadata"]["labels"][labels.COMPONENT] for one in render("platform").of("Deployment")}
    assert components == {labels.COMPONENT_CONTROL_PLANE, labels.COMPONENT_GATEWAY}


@pytest.mark.parametrize("header", sorted(gateway.SET_BY_THE_GATEWAY))
def test_every_header_that_the_gateway_sets_is_refused_as_the_name_of_a_user(header: str) -> None:
    with pytest.raises(HelmFailed, match=f"sticky.header: the gateway sets {header} itself"):
        render("model", {**IRIS, "sticky": {"header": header}})


@pytest.mark.parametrize("chart", ["model", "platform"])
def test_charts_pass_lint_and_can_be_packaged(chart: str, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(json.dumps(IRIS if chart == "model" else {}))
    assert "0 chart(s) failed" in helm("lint", "--strict", CHARTS / chart, "--values", values)
    helm("package", CHARTS / chart, "--destination", tmp_path)
    [packed] = tmp_path.glob("*.tgz")
    assert helm("template", "iris", packed, "--values", values) == helm(
        "template", "iris", CHARTS / chart, "--values", values
    )
