"""Fake nodes: Node objects whose kubelet KWOK simulates. Tests schedule pods on hardware that does not exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Keeps the pods of a real node away from the fake ones. A pod that should be scheduled here must tolerate the taint.
TAINT = {"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}


def fake_node(
    name: str,
    *,
    labels: Mapping[str, str] | None = None,
    capacity: Mapping[str, str] | None = None,
    tainted: bool = True,
) -> dict[str, Any]:
    """The manifest of a node with 32 CPUs and 256 GiB, plus `capacity`, such as `{"nvidia.com/gpu": "4"}`."""
    resources = {"cpu": "32", "memory": "256Gi", "pods": "110", "ephemeral-storage": "1Ti", **(capacity or {})}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/os": "linux",
                "kubernetes.io/hostname": name,
                "type": "kwok",
                **(labels or {}),
            },
        },
        "spec": {"taints": [TAINT] if tainted else []},
        "status": {"allocatable": resources, "capacity": resources},
    }
