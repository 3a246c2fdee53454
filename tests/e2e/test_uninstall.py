"""The end of all stories: a namespace with nothing of us in it."""

from __future__ import annotations

from support.cluster.installed import MODEL, Installed
from support.processes import wait_until


def test_an_uninstall_leaves_nothing(platform: Installed) -> None:
    kube = platform.kube
    platform.deploy("iris", {**MODEL, "target": "1.0.0", "versions": {"1.0.0": {}, "1.1.0": {}}})
    platform.wait_for("iris", "1.0.0 serves", stable="1.0.0", phase="Stable", within=120)
    kube.helm("uninstall", "iris")
    kube.helm("uninstall", "fairlead")
    kinds = kube("api-resources", "--verbs=list", "--namespaced", "-o", "name").split()
    ours = ",".join(kind for kind in kinds if kind not in ("events", "events.events.k8s.io"))

    def left() -> set[str]:
        return set(kube("get", ours, "-o", "name", "--ignore-not-found").split())

    wait_until(
        lambda: left() == {"configmap/kube-root-ca.crt", "serviceaccount/default"}, "all gone", within=90, every=1
    )
