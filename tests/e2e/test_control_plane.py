"""The test cluster without a real node: scheduling, RBAC, and stopping and killing its components."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from support.cluster import lifecycle, state
from support.cluster.kubectl import CommandFailed
from support.cluster.lifecycle import Cluster
from support.processes import is_alive, wait_until

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "model"},
    "spec": {"containers": [{"name": "model", "image": "never/pulled:1"}]},
}
READER: dict[str, Any] = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {"name": "reader"},
    "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}],
}
READERS: dict[str, Any] = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "RoleBinding",
    "metadata": {"name": "readers"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "readers"}],
}


def test_a_pod_is_scheduled_and_reported_as_running(control_plane: Cluster) -> None:
    kube = control_plane.client()
    kube.apply(POD)
    pod = kube.wait("pod", "model", lambda pod: pod["status"].get("phase") == "Running", "Running")
    assert pod["spec"]["nodeName"] == "fake0"


def test_a_user_has_only_the_rights_of_their_groups(control_plane: Cluster) -> None:
    control_plane.client().apply(READER, READERS)
    ada = control_plane.client_of("ada", groups=["readers"])
    assert "kube-root-ca.crt" in ada("get", "configmaps", "-o", "name")
    with pytest.raises(CommandFailed, match='User "ada" cannot list resource "secrets"'):
        ada("get", "secrets")


def test_a_stopped_component_stays_down_until_it_is_started(control_plane: Cluster) -> None:
    control_plane.stop("kube-apiserver")
    with pytest.raises(CommandFailed, match="refused"):
        control_plane.client()("get", "nodes", "--request-timeout=2s")
    control_plane.start("kube-apiserver")
    control_plane.client().wait("node", "fake0", lambda _: True, "listed")


def test_a_component_that_dies_is_restarted(control_plane: Cluster) -> None:
    killed = control_plane.pid("kube-scheduler")
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: control_plane.runs("kube-scheduler") and control_plane.pid("kube-scheduler") != killed, "back")


def test_killing_the_keeper_ends_all_components() -> None:
    folder = lifecycle.cluster_folder(f"killed-{os.getpid()}")
    lifecycle.start(folder, "control_plane")
    seen = state.read(folder)
    assert seen is not None
    assert set(seen.pids) == {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"}
    os.kill(seen.keeper, signal.SIGKILL)
    wait_until(lambda: not any(is_alive(pid) for pid in seen.pids.values()), "all of its components have ended")
    lifecycle.remove(folder)
    assert not folder.exists()
