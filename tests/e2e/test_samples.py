"""The API server accepts every sample in k8s/."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cluster.installed import install_crds
from support.cluster.kubectl import Client
from support.cluster.lifecycle import Cluster
from support.cluster.programs import REPOSITORY

SAMPLES = sorted((REPOSITORY / "k8s/samples").glob("*.yaml"))


@pytest.fixture(scope="module")
def kube(control_plane: Cluster) -> Iterator[Client]:
    """A client for a cluster with the CRDs and the namespaces of k8s/, created as its README says."""
    client = control_plane.client("models")
    install_crds(client)
    client("apply", "-f", str(REPOSITORY / "k8s/namespaces.yaml"))
    yield client
    client("delete", "-f", str(REPOSITORY / "k8s/namespaces.yaml"), "--wait=false")


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_the_api_server_accepts_the_sample(kube: Client, path: Path) -> None:
    output = kube("apply", "--server-side", "--validate=strict", "-f", str(path))
    assert output.rstrip().endswith("serverside-applied")


def test_a_route_is_listed_by_its_short_name(kube: Client) -> None:
    kube("apply", "--server-side", "-f", str(REPOSITORY / "k8s/samples/modelroute-minimal.yaml"))
    assert "sentiment" in kube("get", "mr")
