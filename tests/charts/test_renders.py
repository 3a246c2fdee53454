"""Random values: the rendered objects are valid in every supported Kubernetes, and refer to each other correctly."""

from __future__ import annotations

import pytest

from charts.random_renders import random_renders
from charts.sample import IRIS
from charts.schemas import VERSIONS, complaints
from support.helm import render

EXAMPLES = 8
"""2 charts x 8 examples x 10 documents: 160 renders. `make bench BENCH=renders` makes more, with the same checks."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("chart", ["model", "platform"])
def test_random_values_render_valid_objects(chart: str) -> None:
    assert random_renders(chart, EXAMPLES)[f"renders of charts/{chart}"] >= EXAMPLES


@pytest.mark.parametrize("release", VERSIONS)
def test_the_defaults_are_valid_for_every_supported_release(release: str) -> None:
    for rendered in (render("model", IRIS), render("platform")):
        assert [complaint for one in rendered.objects for complaint in complaints(one, release)] == []


def test_the_schemas_find_what_a_release_would_reject() -> None:
    deployment = render("model", IRIS).of("Deployment")[0]
    assert complaints({**deployment, "spec": {**deployment["spec"], "replica": 2}}, VERSIONS[0])
    assert complaints({**deployment, "spec": {**deployment["spec"], "replicas": "2"}}, VERSIONS[-1])


def test_an_account_whose_name_yaml_reads_as_a_boolean_keeps_its_name() -> None:
    rendered = render("platform", {"controlPlane": {"serviceAccount": {"name": "off"}}})
    [binding] = [one for one in rendered.of("RoleBinding") if one["subjects"][0].get("name") == "off"]
    assert binding["subjects"][0]["kind"] == "ServiceAccount"
    assert rendered.one("ServiceAccount", "off")["metadata"]["name"] == "off"
    pods = [one["spec"]["template"]["spec"] for one in rendered.of("Deployment")]
    assert "off" in [pod["serviceAccountName"] for pod in pods]
