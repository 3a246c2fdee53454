"""The pytest fixtures for clusters, one cluster for a whole run. tests/conftest.py registers them for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from support.cluster import isolation, lifecycle, programs
from support.cluster.lifecycle import Cluster
from support.cluster.programs import ProgramMissing


@pytest.fixture(scope="session")
def control_plane() -> Iterator[Cluster]:
    """A cluster with API server, controllers, scheduler and one fake node: pods become ready, but nothing runs.

    It is always started for this run, and KUBECONFIG is ignored: its tests change objects that exist once per cluster.
    """
    _require(programs.not_built("control_plane"), fail=bool(os.environ.get("CI")))
    with lifecycle.temporary("control_plane") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster in which pods run: the one of KUBECONFIG, the one of `ci/cluster up`, or one started for this run."""
    known = lifecycle.from_kubeconfig() or lifecycle.find(lifecycle.cluster_folder("dev"))
    if known is not None and known.has_node:
        yield known
        return
    _require(isolation.missing_requirement(), fail=os.environ.get("FAIRLEAD_REQUIRE_NODE") == "1")
    _require(programs.not_built("node"), fail=bool(os.environ.get("CI")))
    with lifecycle.temporary("node") as started:
        yield started


def _require(reason: str, *, fail: bool) -> None:
    """Skip the test, or fail it, if there is a reason."""
    if reason and fail:
        raise ProgramMissing(reason)
    if reason:
        pytest.skip(reason)
