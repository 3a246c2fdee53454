"""How many instances a version should have in a cluster: what its Deployment says."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.contracts import labels
from fairlead.store.kubernetes import KubernetesStore
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import DEPLOYMENTS, Kind, Object

LABELS = {labels.MODEL: "iris", labels.ROUTE: "iris", labels.VERSION: "1.0.0", labels.IDENTITY: "0123456789"}


class Deployments(Api):
    """An API server that has these Deployments and nothing else."""

    def __init__(self, *found: Object) -> None:
        self._found = found

    def list(self, kind: Kind, namespace: str, selector: str = "") -> tuple[list[Object], str]:
        return [kind.trim(one) for one in self._found] if kind is DEPLOYMENTS else [], "1"


def a_deployment(spec: dict[str, Any], **metadata: Any) -> Object:
    return {"metadata": {"name": "iris-1-0-0", "labels": LABELS, **metadata}, "spec": {"template": {}, **spec}}


@pytest.mark.parametrize(("spec", "count"), [({"replicas": 3}, 3), ({}, 1), ({"replicas": 1}, 1)])
def test_a_version_should_have_as_many_instances_as_its_deployment_says(spec: dict[str, Any], count: int) -> None:
    rows = KubernetesStore.direct(Deployments(a_deployment(spec)), "prod").wanted()
    assert [(row.ref.version, row.index) for row in rows] == [("1.0.0", index) for index in range(count)]


def test_a_version_that_is_scaled_to_zero_still_exists() -> None:
    (row,) = KubernetesStore.direct(Deployments(a_deployment({"replicas": 0})), "prod").wanted()
    assert row.index == 0


def test_a_deployment_that_is_being_deleted_wants_none() -> None:
    gone = a_deployment({"replicas": 2}, deletionTimestamp="2026-01-01T00:00:00Z")
    assert KubernetesStore.direct(Deployments(gone), "prod").wanted() == []


def test_only_the_number_is_kept_of_a_deployments_spec() -> None:
    assert DEPLOYMENTS.trim(a_deployment({"replicas": 2}))["spec"] == {"replicas": 2}
