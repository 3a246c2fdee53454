"""The pytest fixtures for clusters, one cluster for a whole run. tests/conftest.py registers them for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import isolation, lifecycle, programs
from support.cluster.lifecycle import Cluster
from support.missing import skip_or_fail


@pytest.fixture(scope="session")
def control_plane() -> Iterator[Cluster]:
    """A cluster with API server, controllers, scheduler and one fake node: pods become ready, but nothing runs.

    It is always started for this run, and KUBECONFIG is ignored: its tests change objects that exist once per cluster.
    """
    if reason := programs.not_built("control_plane"):
        raise skip_or_fail(reason)
    with lifecycle.temporary("control_plane") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster in which pods run: the one of KUBECONFIG, the one of `ci/cluster up`, or one started for this run."""
    known = lifecycle.from_kubeconfig() or lifecycle.find(lifecycle.cluster_folder("dev"))
    if known is not None and known.has_node:
        yield known
        return
    if reason := isolation.missing_requirement():
        raise skip_or_fail(reason, required_by="FAIRLEAD_REQUIRE_NODE")
    if reason := programs.not_built("node"):
        raise skip_or_fail(reason)
    with lifecycle.temporary("node") as started:
        yield started
