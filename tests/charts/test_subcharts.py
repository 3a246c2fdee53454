"""The charts as dependencies of a user's umbrella chart: a condition, tags, aliases, global values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts.sample import IRIS, replaced
from support.helm import CHARTS, HelmFailed, Object, helm

VERSIONS: dict[str, Any] = {"target": "1.0.0", "versions": IRIS["versions"]}
VALUES: dict[str, Any] = {
    "global": {"team": "flowers", "fairlead": {"anything": 1}},
    "tags": {"models": True},
    "platform": {"enabled": True},
    "iris": {"enabled": True, "model": "iris", "platform": {"release": "shop"}, **VERSIONS},
    "diabetes": {"enabled": True, "model": "diabetes", "platform": {"release": "shop"}, **VERSIONS},
}


@pytest.fixture(scope="module")
def umbrella(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's chart that depends on the platform and twice on the model chart."""
    folder = tmp_path_factory.mktemp("umbrella") / "shop"
    folder.mkdir()
    dependencies = [
        {"name": f"fairlead-{chart}", "alias": alias, "version": "0.1.0", "repository": f"file://{CHARTS / chart}"}
        | {"condition": f"{alias}.enabled", "tags": ["models" if chart == "model" else "platform"]}
        for alias, chart in (("platform", "platform"), ("iris", "model"), ("diabetes", "model"))
    ]
    about = {"apiVersion": "v2", "name": "shop", "version": "1.0.0", "dependencies": dependencies}
    (folder / "Chart.yaml").write_text(yaml.safe_dump(about))
    (folder / "values.yaml").write_text(yaml.safe_dump(VALUES))
    (folder / "templates").mkdir()
    helm("dependency", "build", folder)
    return folder


def rendered(umbrella: Path, values: dict[str, Any] | None = None, *more: str) -> list[Object]:
    text = helm("template", "shop", umbrella, "--values", "-", *more, standard_input=json.dumps(values or {}))
    return [one for one in yaml.safe_load_all(text) if one]


@contextmanager
def with_values(umbrella: Path, values: dict[str, Any]) -> Iterator[None]:
    """The umbrella chart with this values.yaml: Helm treats null there in another way than in `--values`."""
    file = umbrella / "values.yaml"
    before = file.read_text()
    file.write_text(yaml.safe_dump(values))
    try:
        yield
    finally:
        file.write_text(before)


def routes(objects: list[Object]) -> list[str]:
    return sorted(one["metadata"]["name"] for one in objects if one["kind"] == "ModelRoute")


def test_a_platform_and_two_models_render_from_one_umbrella_chart(umbrella: Path) -> None:
    objects = rendered(umbrella)
    assert routes(objects) == ["diabetes", "iris"]
    assert "shop-gateway" in [one["metadata"]["name"] for one in objects if one["kind"] == "Deployment"]
    names = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(names) == len(set(names))


def test_an_umbrella_chart_passes_lint(umbrella: Path) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", umbrella)


def test_a_condition_removes_one_model(umbrella: Path) -> None:
    assert routes(rendered(umbrella, {"diabetes": {"enabled": False}})) == ["iris"]


def test_tags_decide_where_no_condition_is_set(umbrella: Path) -> None:
    unset = {"iris": {"enabled": None}, "diabetes": {"enabled": None}, "tags": {"models": False}}
    objects = rendered(umbrella, unset)
    assert routes(objects) == []
    assert [one for one in objects if one["kind"] == "Deployment"]


def test_a_condition_and_global_values_may_be_left_empty(umbrella: Path) -> None:
    with with_values(umbrella, {**replaced(VALUES, ("iris", "enabled"), None), "global": None}):
        assert routes(rendered(umbrella)) == ["diabetes", "iris"]


def test_a_model_of_an_umbrella_chart_needs_a_name_of_its_own(umbrella: Path) -> None:
    """Otherwise both models would be named after the release, and their objects would overwrite each other."""
    with pytest.raises(
        HelmFailed, match=r"iris\.model: is empty, .* of its release, shop; set it: iris: {model: iris}"
    ):
        rendered(umbrella, {"iris": {"model": ""}})


def test_errors_begin_with_the_key_of_the_umbrella_chart(umbrella: Path) -> None:
    with pytest.raises(HelmFailed, match=r'iris\.timeouts\.request: "1 m" is not a duration'):
        rendered(umbrella, {"iris": {"timeouts": {"request": "1 m"}}})
    with pytest.raises(HelmFailed, match=r"iris\.workload\.autoscaling: is null; remove the line"):
        rendered(umbrella, None, "--set", "iris.workload.autoscaling=null")


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({"iris": {"target": ""}}, "iris.target: is empty"),
        ({"iris": {"target": "9"}}, 'iris.target: "9" is not one of versions: 1.0.0, 1.1.0'),
        ({"iris": {"mirrors": [{"version": "9", "share": 1}]}}, 'iris.mirrors[0].version: "9" is not one of versions'),
        ({"iris": {"sticky": {"header": "x-request-id"}}}, "iris.sticky.header: the gateway sets x-request-id itself"),
        ({"iris": {"timeouts": {"request": "1s", "perTry": "2s"}}}, "iris.timeouts.perTry: 2s is more than"),
        (
            {"iris": {"strategy": {"steps": [{"weight": 500}, {"weight": 100}]}}},
            "iris.strategy.steps[1].weight: 100 is not above the step before (500)",
        ),
        ({"iris": {"strategy": {"gates": [{"name": "lateness"}]}}}, 'iris.strategy.gates[0].name: "lateness" is not a'),
        ({"iris": {"image": {"requireDigest": True}, "versions": {"2": {}}}}, "iris.versions.2.image.digest: is empty"),
        ({"iris": {"versions": {"1.0.0": {"source": {"kind": "init"}}}}}, "iris.versions.1.0.0.source.uri: is empty"),
        ({"iris": {"timeouts": {"request": "1m"}}}, "iris.workload.drain.requestSeconds: 20 is less than"),
        (
            {"iris": {"workload": {"extraPorts": [{"name": "http", "port": 9}]}}},
            'iris.workload.extraPorts[0].name: "http" is taken',
        ),
        ({"iris": {"workload": {"dnsPolicy": "None"}}}, "iris.workload.dnsPolicy: is None"),
        (
            {"iris": {"versions": {"1.0.0": {"overrides": {"dnsPolicy": "None"}}}}},
            "iris.versions.1.0.0.overrides.dnsPolicy: is None",
        ),
        (
            {"iris": {"workload": {"autoscaling": {"kind": "hpa", "maxInstances": 1}}}},
            "iris.workload.autoscaling.maxInstances: 1 is less than the minimum of 2 pods",
        ),
        ({"iris": {"podMonitor": {"renderMode": "failIfMissing"}}}, "iris.podMonitor.renderMode: is failIfMissing"),
        ({"platform": {"metricSource": "prometheus"}}, "platform.prometheus.url: is empty"),
        ({"platform": {"gateway": {"dnsPolicy": "None"}}}, "platform.gateway.dnsPolicy: is None"),
        (
            {"platform": {"gateway": {"httpRoute": {"enabled": True}}}},
            "platform.gateway.httpRoute.parentRefs: is empty",
        ),
        (
            {"platform": {"gateway": {"ingress": {"enabled": True, "tlsSecretName": "tls"}}}},
            "platform.gateway.ingress.hosts: is empty",
        ),
        (
            {"platform": {"gateway": {"autoscaling": {"kind": "hpa", "maxInstances": 1}}}},
            "platform.gateway.autoscaling.maxInstances: 1 is less than",
        ),
    ],
)
def test_every_error_of_the_templates_has_the_whole_path(umbrella: Path, values: dict[str, Any], wanted: str) -> None:
    with pytest.raises(HelmFailed) as refused:
        rendered(umbrella, values)
    assert f"): {wanted}" in str(refused.value)


def test_no_template_fails_without_the_beginning_of_the_path() -> None:
    """Each sentence of `fail` begins with a placeholder, for the path; two are about something else than a value."""
    found = [
        line
        for path in CHARTS.rglob("templates/**/*.*")
        for line in path.read_text().splitlines()
        if "{{- fail" in line and 'fail (printf "%s' not in line and "the release name" not in line
    ]
    assert found == []


def test_two_models_of_one_release_cannot_have_one_name(umbrella: Path) -> None:
    """Their objects would have the same names: of two Deployments, `kubectl apply` keeps the last."""
    with pytest.raises(
        HelmFailed, match=r'(iris|diabetes)\.model: "iris" is also the model of (iris|diabetes); give each model'
    ):
        rendered(umbrella, {"diabetes": {"model": "iris"}})
    assert routes(rendered(umbrella, {"diabetes": {"model": "iris", "enabled": False}})) == ["iris"]


def test_an_umbrella_chart_can_turn_stickiness_off(umbrella: Path) -> None:
    """It cannot with null, which Helm does not pass on from the values of a parent chart."""
    with with_values(umbrella, replaced(VALUES, ("iris", "sticky"), {"header": ""})):
        objects = rendered(umbrella)
    sticky = {one["metadata"]["name"]: one["spec"]["sticky"] for one in objects if one["kind"] == "ModelRoute"}
    assert sticky == {"iris": None, "diabetes": {"header": "x-user-id"}}


def test_a_subchart_renders_what_the_chart_renders_alone(umbrella: Path) -> None:
    """Except for the names of chart and release in labels, and the name of the platform's release."""
    alone = helm(
        *("template", "shop", CHARTS / "model", "--values", "-"),
        standard_input=json.dumps({name: value for name, value in VALUES["iris"].items() if name != "enabled"}),
    ).replace("fairlead-model-0.1.0", "iris-0.1.0")
    ours = {(one["kind"], one["metadata"]["name"]): one for one in rendered(umbrella)}
    for one in yaml.safe_load_all(alone):
        assert ours[one["kind"], one["metadata"]["name"]] == one
