"""The charts as dependencies of a user's umbrella chart: a condition, tags, aliases, global values."""

from __future__ import annotations

import json
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
    values = umbrella / "values.yaml"
    before = values.read_text()
    try:
        values.write_text(yaml.safe_dump({**replaced(VALUES, ("iris", "enabled"), None), "global": None}))
        assert routes(rendered(umbrella)) == ["diabetes", "iris"]
    finally:
        values.write_text(before)


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


def test_an_umbrella_chart_can_turn_stickiness_off(umbrella: Path) -> None:
    """It cannot with null, which Helm does not pass on from the values of a parent chart."""
    values = umbrella / "values.yaml"
    before = values.read_text()
    try:
        values.write_text(yaml.safe_dump(replaced(VALUES, ("iris", "sticky"), {"header": ""})))
        objects = rendered(umbrella)
    finally:
        values.write_text(before)
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
