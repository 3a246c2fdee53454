"""charts/model: versions whose pods the control plane scales, `autoscaling.kind: managed`."""

from __future__ import annotations

from typing import Any

import pytest

from charts.sample import with_workload
from fairlead.contracts import labels
from support.helm import render


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
