"""The environment of the containers of both charts: what the values set takes the place of what the chart sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from charts.sample import FETCHED, with_version
from support.helm import Object, pod_of, render


def model_with(own: list[Object]) -> dict[str, Any]:
    fetcher = {"image": "example/aws-cli:2", "env": own}
    source = {"kind": "init", "uri": "s3://models/iris", "fetcher": fetcher}
    values = with_version("1.2.0", {**FETCHED, "source": source})
    return {**values, "workload": {"gpu": {"pool": "gke"}, "extraEnv": own}}


def platform_with(own: list[Object]) -> dict[str, Any]:
    part = {"extraEnv": own}
    return {"tls": {"mode": "cert-manager"}, "gateway": part, "controlPlane": part}


def environments(chart: str, values: dict[str, Any]) -> dict[str, list[Object]]:
    pods = [(one["metadata"]["name"], pod_of(one)) for one in render(chart, values).of("Deployment")]
    return {
        f"{name} {one['name']}": one["env"]
        for name, pod in pods
        for one in (*pod.get("initContainers", []), *pod["containers"])
    }


@pytest.mark.parametrize(("chart", "values"), [("model", model_with), ("platform", platform_with)])
def test_a_variable_of_the_user_is_there_once_in_the_place_of_the_charts(
    chart: str, values: Callable[[list[Object]], dict[str, Any]]
) -> None:
    """Server-side apply refuses a name that occurs twice. Of two in a pod the last one holds."""
    names = sorted({one["name"] for environment in environments(chart, values([])).values() for one in environment})
    own = [{"name": name, "value": text} for text in ("first", "last") for name in (*names, "ANOTHER")]
    for container, found in environments(chart, values(own)).items():
        assert found == own[len(own) // 2 :], container


def test_variables_of_the_chart_that_the_user_does_not_name_stay() -> None:
    before, after = (environments("platform", platform_with(own)) for own in ([], [{"name": "A", "value": "1"}]))
    assert after == {container: [*found, {"name": "A", "value": "1"}] for container, found in before.items()}
