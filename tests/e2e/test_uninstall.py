"""The last module: after an uninstall the namespace has no objects of Fairlead."""

from __future__ import annotations

import time
from typing import Any

from support.cluster.installed import MODEL, Installed
from support.processes import wait_until
from support.proof import Findings

NAME = "iris-removed"
"""Not a name that another module used: once, Kubernetes filled the EndpointSlices of such a Service only minutes later,
after the API server had been away."""
AT_ONCE = {"preStopSeconds": 0, "propagationSeconds": 0, "requestSeconds": 10, "marginSeconds": 1}
"""A short drain: the pods have no requests when they are deleted."""
KUBERNETES = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
VALUES: dict[str, Any] = {
    **MODEL,
    "workload": {**MODEL["workload"], "drain": AT_ONCE},
    "target": "1.0.0",
    "versions": {"1.0.0": {}, "1.1.0": {}},
}


def test_an_uninstall_leaves_nothing(platform: Installed, findings: Findings) -> None:
    kube = platform.kube
    platform.deploy(NAME, VALUES)
    platform.wait_for(NAME, "1.0.0 serves", stable="1.0.0", phase="Stable", within=120)
    since = time.monotonic()
    kube.helm("uninstall", NAME)
    kube.helm("uninstall", "fairlead")
    kinds = kube("api-resources", "--verbs=list", "--namespaced", "-o", "name").split()
    ours = ",".join(kind for kind in kinds if kind not in ("events", "events.events.k8s.io"))

    seen: list[set[str]] = []

    def is_empty() -> bool:
        seen.append(set(kube("get", ours, "-o", "name", "--ignore-not-found").split()) - KUBERNETES)
        if len(seen) < 2 or seen[-1] != seen[-2]:
            print(f"{time.monotonic() - since:.1f} s: {sorted(seen[-1])}")
        return not seen[-1]

    wait_until(is_empty, "all gone", within=180, every=1)
    findings.note("two uninstalls -> nothing is left, s", f"{time.monotonic() - since:.1f}")
