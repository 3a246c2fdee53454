"""Autoscaling in pods: real load, Prometheus and KEDA. `make bench BENCH=autoscaling` shows more faults, for longer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks import autoscaling
from support.autoscaling import releases, scenes
from support.autoscaling.loop import IMAGES, Loop, running_loop
from support.cluster import keda
from support.cluster.installed import Installed
from support.cluster.lifecycle import Cluster
from support.missing import skip_or_fail
from support.proof import Findings

PROOFS = [autoscaling]
"""The proof whose scenes are played here."""


@pytest.fixture(scope="module")
def loop(cluster: Cluster, platform: Installed, image: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    if cluster.plan is None:
        pytest.skip("KEDA runs beside a cluster of the tests, not in the cluster of KUBECONFIG")
    if reason := keda.not_built():
        raise skip_or_fail(reason)
    for one in IMAGES:
        image(one)
    with running_loop(cluster, platform, tmp_path_factory.mktemp("autoscaling")) as running:
        yield running


def test_instances_follow_the_load_and_an_upgrade_of_the_release_resets_none(loop: Loop) -> None:
    found = Findings()
    scenes.load_moves_instances(loop, found)
    assert not found.broken


def test_while_prometheus_is_down_no_instance_is_removed(loop: Loop) -> None:
    found = Findings()
    scenes.under_fault(loop, scenes.PROMETHEUS_DOWN, found, seconds=10)
    assert not found.broken


def test_a_rollout_is_never_short_of_instances_while_the_load_rises(loop: Loop) -> None:
    found = Findings()
    releases.rises_in_a_rollout(loop, found)
    # The load is 8 times as high within a second, before anything can add instances: a full queue may refuse some. The
    # proof `autoscaling` counts them.
    assert [one for one in found.broken if "requests that failed" not in one] == []
