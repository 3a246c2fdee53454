"""Clusters as pytest fixtures, one for a whole run; tests/conftest.py makes them known to all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from support.cluster import isolation, lifecycle, programs
from support.cluster.lifecycle import Cluster
from support.cluster.programs import ProgramMissing


@pytest.fixture(scope="session")
def control_plane() -> Iterator[Cluster]:
    """API server, controllers, scheduler and one fake node: pods are scheduled and look ready, but nothing runs.

    Always a cluster of the test run's own, whatever KUBECONFIG says: its tests change what a cluster has only once.
    """
    _insist(programs.not_built("control_plane"), fail=bool(os.environ.get("CI")))
    with lifecycle.temporary("control_plane") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster in which pods run: the one of KUBECONFIG, the one of `ci/cluster up`, or one for this test run."""
    known = lifecycle.from_kubeconfig() or lifecycle.find(lifecycle.cluster_folder("dev"))
    if known is not None and known.has_node:
        yield known
        return
    _insist(isolation.missing_requirement(), fail=os.environ.get("FAIRLEAD_REQUIRE_NODE") == "1")
    _insist(programs.not_built("node"), fail=bool(os.environ.get("CI")))
    with lifecycle.temporary("node") as started:
        yield started


def _insist(reason: str, *, fail: bool) -> None:
    if reason and fail:
        raise ProgramMissing(reason)
    if reason:
        pytest.skip(reason)
