"""Nodes that are only objects: KWOK answers for their kubelet. They prove scheduling, on hardware nobody has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# A real node beside them must not lose its pods to them: whoever wants to run here tolerates this.
TAINT = {"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}


def fake_node(
    name: str,
    *,
    labels: Mapping[str, str] | None = None,
    capacity: Mapping[str, str] | None = None,
    tainted: bool = True,
) -> dict[str, Any]:
    """A node with 32 CPUs and 256 GiB, and what `capacity` adds, such as `{"nvidia.com/gpu": "4"}`."""
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
