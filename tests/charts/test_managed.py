"""charts/model: versions whose pods the control plane scales, `autoscaling.kind: managed`."""

from __future__ import annotations

import re
from typing import Any

import pytest

from charts.sample import with_workload
from fairlead.contracts import labels
from support.helm import HelmFailed, render


@pytest.mark.parametrize("kind", ["none", "managed", "hpa", "external"])
def test_a_versions_deployment_says_who_scales_it_and_has_replicas_only_if_nobody_does(kind: str) -> None:
    for one in render("model", with_workload(autoscaling={"kind": kind})).of("Deployment"):
        scaled_by = one["metadata"]["labels"].get(labels.SCALED_BY)
        assert scaled_by == {"managed": labels.SCALED_BY_CONTROL_PLANE, "hpa": labels.SCALED_BY_HPA}.get(kind)
        assert ("replicas" in one["spec"]) is (kind == "none")
        # Both are immutable or would restart the pods.
        assert labels.SCALED_BY not in one["spec"]["selector"]["matchLabels"]
        assert labels.SCALED_BY not in one["spec"]["template"]["metadata"]["labels"]


@pytest.mark.parametrize(("instances", "budgets"), [(1, 0), (2, 2)])
def test_a_managed_version_of_one_pod_needs_no_disruption_budget(instances: int, budgets: int) -> None:
    values: dict[str, Any] = with_workload(instances=instances, autoscaling={"kind": "managed"})
    assert len(render("model", values).of("PodDisruptionBudget")) == budgets


MANAGED: dict[str, Any] = {"autoscaling": {"kind": "managed"}}


def test_a_version_that_may_stop_while_nobody_uses_it_says_so_in_the_route_and_others_say_nothing_new() -> None:
    """An older definition of ModelRoute has no such fields."""
    (before,) = render("model", with_workload(**MANAGED)).of("ModelRoute")
    assert "scaleToZero" not in before["spec"]
    assert "minInstances" not in before["spec"]["versions"]["1.0.0"]
    values = with_workload(minInstances=0, **MANAGED) | {"scaleToZero": {"after": "30s"}}
    values["versions"] = values["versions"] | {"1.2.0": {"overrides": {"minInstances": None}}}
    (route,) = render("model", values).of("ModelRoute")
    found = {name: one.get("minInstances") for name, one in route["spec"]["versions"].items()}
    assert found == {"1.0.0": 0, "1.1.0": 0, "1.2.0": None}
    assert route["spec"]["scaleToZero"] == {"after": "30s", "wait": "1m", "requests": 100}


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("none", "nothing stops the pods and starts them again"),
        ("hpa", "an autoscaler also writes the number of pods, and would start them again"),
        ("external", "an autoscaler also writes the number of pods, and would start them again"),
    ],
)
def test_scale_to_zero_is_refused_where_the_control_plane_does_not_scale(kind: str, why: str) -> None:
    said = f"workload.minInstances: is 0, and with autoscaling.kind: {kind} {why}; set autoscaling.kind: managed, or"
    with pytest.raises(HelmFailed, match=re.escape(said)):
        render("model", with_workload(minInstances=0, autoscaling={"kind": kind}))


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"after": "500ms"}, "scaleToZero.after: 500ms is less than 1s; raise it"),
        ({"wait": "11m"}, "scaleToZero.wait: 11m is not above 0 and at most 10m; change it"),
        ({"wait": "0s"}, "scaleToZero.wait: 0s is not above 0 and at most 10m; change it"),
    ],
)
def test_a_wait_that_no_route_may_have_is_refused(limits: dict[str, str], said: str) -> None:
    with pytest.raises(HelmFailed, match=re.escape(said)):
        render("model", with_workload(minInstances=0, **MANAGED) | {"scaleToZero": limits})
