"""Registers a process of this machine as the API of external metrics, which the cluster's own autoscaler reads.

A cluster has one such API at a time.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from support.cluster.kubectl import Client

API_SERVICE = "v1beta1.external.metrics.k8s.io"
VERSION, _, GROUP = API_SERVICE.partition(".")


@contextmanager
def registered(kube: Client, service: str, at: str, port: int, authority: Path) -> Iterator[None]:
    """Send the API's requests to `at` and `port`, whose certificate is of `authority` and for `service`, until the
    block ends."""
    objects = _objects(kube.namespace, service, at, port, authority)
    with ExitStack() as undo:
        kube.apply(*objects)
        for one in objects:
            undo.callback(kube, "delete", one["kind"], one["metadata"]["name"], "--ignore-not-found")
        yield


def wait_until_served(kube: Client) -> None:
    """Wait until the API server has had an answer from the process."""
    kube.wait("apiservice", API_SERVICE, _is_available, "the external metrics are served")


def _objects(namespace: str, service: str, at: str, port: int, authority: Path) -> list[dict[str, Any]]:
    """The API, and the right of the cluster's autoscaler to read it."""
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"{service}-readers"}
    reader = {"kind": "ServiceAccount", "name": "horizontal-pod-autoscaler", "namespace": "kube-system"}
    return [
        {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": service, "namespace": namespace},
            # The process is outside of the cluster: the API server connects to its address.
            "spec": {"type": "ExternalName", "externalName": at, "ports": [{"port": port}]},
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": role["name"]},
            "rules": [{"apiGroups": [GROUP], "resources": ["*"], "verbs": ["get", "list", "watch"]}],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": role["name"]}, "roleRef": role, "subjects": [reader],
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": API_SERVICE},
            "spec": {
                "group": GROUP, "version": VERSION, "groupPriorityMinimum": 100, "versionPriority": 100,
                "service": {"name": service, "namespace": namespace, "port": port},
                "caBundle": base64.b64encode(authority.read_bytes()).decode(),
            },
        },
    ]  # fmt: skip


def _is_available(service: dict[str, Any]) -> bool:
    conditions = (service.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Available" and one["status"] == "True" for one in conditions)
