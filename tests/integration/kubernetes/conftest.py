"""A real API server with our CRDs and policies, shared by all tests here; each test has its own namespace."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.store.kubernetes import kubeconfig
from fairlead.store.kubernetes.api import Api
from support.cluster.lifecycle import Cluster

CHART = Path(__file__).parents[3] / "charts" / "crds"


@pytest.fixture(scope="session")
def prepared(control_plane: Cluster) -> Cluster:
    """The cluster with charts/crds installed and its policies active, which takes the API server a moment."""
    control_plane.client().helm("upgrade", "--install", "fairlead-crds", str(CHART), "--wait")
    control_plane.client().wait("crd", "modelrouteactions.fairlead.dev", lambda one: "status" in one, "there")
    return control_plane


@pytest.fixture(scope="session")
def api(prepared: Cluster) -> Iterator[Api]:
    """The API as an administrator named ada, who is the actor in the shared suite."""
    client = prepared.client_of("ada", groups=["system:masters"])
    api = Api(kubeconfig.load(environment={"KUBECONFIG": str(client.kubeconfig)}))
    yield api
    api.close()


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:8]}"
    api.request("POST", "/api/v1/namespaces", body={"metadata": {"name": name}})
    yield name
    api.request("DELETE", f"/api/v1/namespaces/{name}")
