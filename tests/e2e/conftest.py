"""Tests that need a Kubernetes cluster in which pods run. `make e2e` brings all of it; see tests/support/cluster."""

from __future__ import annotations

import os
import shlex
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.cluster.installed import PLATFORM, Installed, install_kinds, installed
from support.cluster.programs import REPOSITORY
from support.cluster.running import Cluster

Provide = Callable[[str], str]


@pytest.fixture(scope="session")
def image(cluster: Cluster) -> Provide:
    """`image("iris:1.0.0")`: builds the image by ci/images, puts it on the node, gives its full name.

    In a cluster of the user's own, FAIRLEAD_LOAD_IMAGE is the command that puts an archive there, such as
    `kind load image-archive`; without it the images must be there already.
    """
    names: dict[str, str] = {}

    def provide(name: str) -> str:
        if name not in names:
            done = subprocess.run([REPOSITORY / "ci/images", name], stdout=subprocess.PIPE, text=True, check=True)
            names[name], archive = done.stdout.split()
            if cluster.plan is not None:
                cluster.load(archive)
            elif loader := os.environ.get("FAIRLEAD_LOAD_IMAGE"):
                subprocess.run([*shlex.split(loader), archive], check=True)
        return names[name]

    return provide


@pytest.fixture(scope="module")
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for the tests of one file, removed with all it holds."""
    story = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-")
    name = f"e2e-{story}-{uuid.uuid4().hex[:4]}"  # the one of the run before may still be going
    cluster.client().apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    cluster.client()("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def platform(
    cluster: Cluster, namespace: str, image: Provide, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installed]:
    """charts/crds and charts/platform, with every image that the story needs on the node; waits for nothing."""
    for name in ("control-plane", "envoy", "iris:1.0.0", "iris:1.1.0"):
        image(name)
    folder: Path = tmp_path_factory.mktemp("values")
    install_kinds(cluster.client())
    with installed(cluster, namespace, folder, PLATFORM) as found:
        yield found
