"""charts/model: versions whose pods the control plane scales, `autoscaling.kind: managed`."""

from __future__ import annotations

from typing import Any

import pytest

from charts.sample import with_workload
from fairlead.contracts import labels
from support.helm import render


@pytest.mark.parametrize("kind", ["none", "managed", "hpa", "external"])
def test_only_a_managed_versions_deployment_says_that_the_control_plane_scales_it(kind: str) -> None:
    for one in render("model", with_workload(autoscaling={"kind": kind})).of("Deployment"):
        scaled_by = one["metadata"]["labels"].get(labels.SCALED_BY)
        assert scaled_by == (labels.SCALED_BY_CONTROL_PLANE if kind == "managed" else None)
        assert ("replicas" in one["spec"]) is (kind == "none")
        # Both are immutable or would restart the pods.
        assert labels.SCALED_BY not in one["spec"]["selector"]["matchLabels"]
        assert labels.SCALED_BY not in one["spec"]["template"]["metadata"]["labels"]


@pytest.mark.parametrize(("instances", "budgets"), [(1, 0), (2, 2)])
def test_a_managed_version_of_one_pod_needs_no_disruption_budget(instances: int, budgets: int) -> None:
    values: dict[str, Any] = with_workload(instances=instances, autoscaling={"kind": "managed"})
    assert len(render("model", values).of("PodDisruptionBudget")) == budgets
