"""Releases of the landed charts are upgraded and rolled back by Helm, on a real API server with its controllers.

Pods are only objects here: they are created, scheduled and replaced, but no container runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from support import landed
from support.cluster import lifecycle, programs
from support.cluster.installed import CHARTS
from support.cluster.kubectl import Client
from support.missing import skip_or_fail
from support.processes import wait_until

MODEL = "iris"
INSTANCES = 3
"""Set by hand, as an autoscaler would: the charts know nothing of it."""
VALUES: dict[str, Any] = {
    "target": "1.0.0",
    "versions": {"1.0.0": {}, "1.1.0": {}},
    "workload": {"resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}, "autoscaling": {"kind": "external"}},
}


@dataclass(frozen=True)
class Version:
    """The Deployment of a version: its pod template as JSON, the number of its pods, and their uids."""

    template: str
    replicas: int
    pods: frozenset[str]


@pytest.fixture(scope="module")
def kube() -> Iterator[Client]:
    """A namespace with releases of the landed charts, whose model has been scaled."""
    if reason := programs.not_built("control_plane"):
        raise skip_or_fail(reason)
    with lifecycle.temporary("control_plane") as cluster:
        cluster.client().helm("install", "fairlead-crds", str(landed.chart("crds")), "--wait")
        kube = cluster.client("models")
        kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "models"}})
        kube.helm("install", "fairlead", str(landed.chart("platform")))
        kube.helm("install", MODEL, str(landed.chart("model")), "--values", "-", stdin=json.dumps(VALUES))
        mine = f"--selector=fairlead.dev/model={MODEL}"
        kube("scale", "deployments", mine, f"--replicas={INSTANCES}")
        wait_until(lambda: {len(one.pods) for one in versions(kube).values()} == {INSTANCES}, "all pods are there")
        yield kube


def versions(kube: Client) -> dict[str, Version]:
    """The model's versions by the names of their Deployments."""
    selector = ("--selector", f"fairlead.dev/model={MODEL}")
    pods = kube.get("pods", "", *selector)["items"]
    return {
        one["metadata"]["name"]: Version(
            json.dumps(one["spec"]["template"], sort_keys=True),
            one["spec"]["replicas"],
            frozenset(
                pod["metadata"]["uid"] for pod in pods if pod["metadata"]["name"].startswith(one["metadata"]["name"])
            ),
        )
        for one in kube.get("deployments", "", *selector)["items"]
    }


def test_helm_upgrades_kinds_platform_and_model_and_rolls_them_back_without_touching_pods(kube: Client) -> None:
    """The API server refuses an upgrade that changes what cannot change, such as a selector."""
    before = versions(kube)
    values = ("--values", "-")
    steps: Mapping[str, Callable[[], str]] = {
        "kinds": lambda: kube.helm("upgrade", "fairlead-crds", str(CHARTS / "crds"), "--namespace=default", "--wait"),
        "platform": lambda: kube.helm("upgrade", "fairlead", str(CHARTS / "platform")),
        "model": lambda: kube.helm("upgrade", MODEL, str(CHARTS / "model"), *values, stdin=json.dumps(VALUES)),
        "model back": lambda: kube.helm("rollback", MODEL),
        "platform back": lambda: kube.helm("rollback", "fairlead"),
    }
    for name, step in steps.items():
        step()
        after = versions(kube)
        assert after.keys() == before.keys(), name
        assert {one.replicas for one in after.values()} == {INSTANCES}, name
        for deployment, one in after.items():
            # Where the new chart changes the template, its pods are replaced: tests/charts/test_landed.py lists that.
            if one.template == before[deployment].template:
                assert one.pods == before[deployment].pods, (name, deployment)
