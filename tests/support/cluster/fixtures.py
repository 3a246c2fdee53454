"""Clusters as pytest fixtures, one for a whole run: `from support.cluster.fixtures import control_plane`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from support.cluster import isolation, running
from support.cluster.programs import ProgramMissing
from support.cluster.running import Cluster


@pytest.fixture(scope="session")
def control_plane() -> Iterator[Cluster]:
    """API server, controllers, scheduler and one fake node: pods are scheduled and look ready, but nothing runs."""
    if shutil.which("go") is None and not os.environ.get("CI"):
        pytest.skip("the control plane's programs are built from source, and Go is not installed")
    with running.temporary("control_plane") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster in which pods run: the one of KUBECONFIG, the one of `ci/cluster up`, or one for this test run."""
    known = running.of_the_user() or running.found(running.own_folder("dev"))
    if known is not None:
        yield known
        return
    if reason := isolation.why_not():
        if os.environ.get("CI"):
            raise ProgramMissing(reason)
        pytest.skip(reason)
    with running.temporary("node") as started:
        yield started
