"""Starts pods of one model whose folder is in an image, an archive or a claim, and measures until they are ready."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import DEPLOYMENTS, PODS, Object
from support.cluster.kubectl import Client
from support.helm import render
from support.processes import ProcessFailed, wait_until

VERSION = "1.0.0"
WORKLOAD: Mapping[str, Any] = {
    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "2Gi"}},
    "startup": {"periodSeconds": 1},
    "readiness": {"periodSeconds": 1},
    "scratch": {"sizeLimit": "4Gi"},
    "drain": {"preStopSeconds": 0, "propagationSeconds": 1, "requestSeconds": 10, "marginSeconds": 1},
}


@dataclass(frozen=True)
class Source:
    """One way by which a folder reaches a pod: the name of its model, and the version's values."""

    model: str
    version: Mapping[str, Any]


@dataclass(frozen=True)
class Starter:
    """Deploys sources without a platform: one Deployment each, whose number of pods it writes."""

    api: Api
    kube: Client

    def deploy(self, source: Source) -> str:
        """Create its objects with no pod. Returns the name of the Deployment."""
        values = {
            "model": source.model,
            "target": VERSION,
            "versions": {VERSION: source.version},
            "workload": {**WORKLOAD, "autoscaling": {"kind": "external"}},
        }
        rendered = render("model", values, namespace=self.kube.namespace)
        deployment = rendered.one("Deployment")
        deployment["spec"]["replicas"] = 0
        self.kube.apply(rendered.one("ServiceAccount"), deployment)
        return str(deployment["metadata"]["name"])

    def seconds(self, name: str, source: Source) -> float:
        """From the order for one pod until it is ready; then the pod is removed again."""
        since = time.monotonic()
        self.scale(name, 1)
        try:
            wait_until(lambda: self.is_ready(source), f"{name} is ready", within=60, every=0.05)
        except ProcessFailed as failed:
            raise ProcessFailed(f"{failed}; its pods: {self.kube('describe', 'pods')}") from None
        took = time.monotonic() - since
        self.remove(name, source)
        return took

    def scale(self, name: str, count: int) -> None:
        """Write the number of its pods."""
        self.api.patch(DEPLOYMENTS, self.kube.namespace, name, {"spec": {"replicas": count}})

    def remove(self, name: str, source: Source) -> None:
        """Write that it has no pods, and wait until there are none."""
        self.scale(name, 0)
        wait_until(lambda: not self.pods(source), f"{name} has no pods", within=60, every=0.1)

    def refused(self, name: str, source: Source, sentence: str) -> Callable[[], bool]:
        """Whether a container of its pod has ended with this sentence."""

        def is_there() -> bool:
            return any(sentence in _told(pod) for pod in self.pods(source))

        self.scale(name, 1)
        return is_there

    def pods(self, source: Source) -> list[Object]:
        """Its pods."""
        return self.api.list(PODS, self.kube.namespace, f"fairlead.dev/model={source.model}")[0]

    def is_ready(self, source: Source) -> bool:
        """Whether one of its pods is ready now."""
        return any(map(_is_ready, self.pods(source)))


def _is_ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _told(pod: Object) -> str:
    """The termination messages of its containers."""
    status = pod["status"]
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    ended = [(one.get(when) or {}).get("terminated") or {} for one in containers for when in ("state", "lastState")]
    return "\n".join(str(one.get("message", "")) for one in ended)
