"""A real API server with our definitions and policies, one for all tests here; each test has a namespace of its own."""

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
    """With charts/crds installed, and its policies at work: the API server takes a moment to know them."""
    control_plane.client().helm("upgrade", "--install", "fairlead-crds", str(CHART), "--wait")
    control_plane.client().wait("crd", "modelrouteactions.fairlead.dev", lambda one: "status" in one, "there")
    return control_plane


@pytest.fixture(scope="session")
def api(prepared: Cluster) -> Iterator[Api]:
    """As an administrator called ada, who is the actor in the shared suite."""
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
