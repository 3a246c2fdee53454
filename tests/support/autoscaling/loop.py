"""Runs a model in pods that scales by load: the platform, Prometheus, KEDA and the model's chart, on a real node."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlead.store.kubernetes import kubeconfig
from fairlead.store.kubernetes.api import Api
from support.autoscaling import scraping
from support.autoscaling.samples import Samples, sampled
from support.cluster.installed import MODEL, SMALL, Installed
from support.cluster.keda import Keda, running_keda
from support.cluster.lifecycle import Cluster
from support.cluster.programs import REPOSITORY
from support.faults import folders
from support.load.open_loop import OpenLoop
from support.processes import wait_until
from support.prometheus import Prometheus

NAME, VERSION, NEXT = "doubler", "1.0.0", "1.1.0"
IMAGES = (f"{NAME}:{VERSION}", f"{NAME}:{NEXT}")
MOST = 6
PER_INSTANCE = 2
"""The target: requests in flight for which one instance is enough."""
CALL_MS, THREADS = 200, 10
"""How long a call of the model takes, for one row, and how many calls an instance makes at a time. So one instance
answers 50 requests per second, and none has to wait for those that the target adds."""
STABLE_S = 10
"""The stabilisation before instances are removed."""


@dataclass(frozen=True)
class Loop:
    """What runs, and the samples of the model's Deployment."""

    platform: Installed
    keda: Keda
    prometheus: Prometheus
    samples: Samples
    api: Api
    loads: list[OpenLoop] = field(default_factory=list)
    """Every load so far."""

    def load(self, rate: float) -> OpenLoop:
        """Requests of new users through the gateway until the block ends."""
        self.loads.append(self.platform.load(NAME, rate=rate, seconds=600, question={"value": 1}))
        return self.loads[-1]

    def deploy(self, released: str = VERSION, strategy: Mapping[str, Any] | None = None, **autoscaling: Any) -> None:
        """Upgrade the model's release with these values of autoscaling, and release this version."""
        self.platform.deploy(NAME, values(self.prometheus.url, autoscaling, released, strategy))

    @contextmanager
    def sampling(self, version: str) -> Iterator[Samples]:
        """The samples of another version, whose Deployment exists, until the block ends."""
        (deployment,) = self.platform.of_version("deployments", NAME, version)
        with sampled(self.api, self.platform.kube.namespace, deployment["metadata"]["name"]) as found:
            yield found

    def instances(self, version: str) -> int:
        """How many instances the Deployment of a version wants now."""
        (found,) = self.platform.of_version("deployments", NAME, version)
        return int(found["spec"]["replicas"])

    def conditions(self) -> dict[str, str]:
        """The conditions of the ScaledObject."""
        (found,) = self.platform.of_version("scaledobjects", NAME, VERSION)
        return {one["type"]: one["status"] for one in found["status"].get("conditions") or ()}


def write_models() -> list[str]:
    """Write the folders of both versions, from which ci/images builds images. Returns their paths in the repository."""
    root = REPOSITORY / "build/models/.faults"
    for version in (VERSION, NEXT):
        shutil.rmtree(root / NAME / version, ignore_errors=True)
    return [str(folders.make(root, NAME, version).relative_to(REPOSITORY)) for version in (VERSION, NEXT)]


STAYS: Mapping[str, Any] = {"steps": [{"weight": 5000, "minDuration": "10m"}]}
"""A rollout that stays at 50 %."""


def values(
    prometheus: str,
    autoscaling: Mapping[str, Any],
    released: str = VERSION,
    strategy: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Values of charts/model, with times that suit a proof of minutes. Without a strategy a rollout STAYS."""
    scaling = {
        "kind": "keda",
        "maxInstances": MOST,
        "target": {"inFlight": PER_INSTANCE},
        "prometheus": {"serverAddress": prometheus, "window": scraping.WINDOW},
        "fallback": {"failureThreshold": 1},
        "behavior": {
            "scaleUp": {
                "stabilizationWindowSeconds": 0,
                "policies": [{"type": "Pods", "value": 4, "periodSeconds": 5}],
            },
            "scaleDown": {
                "stabilizationWindowSeconds": STABLE_S,
                "policies": [{"type": "Percent", "value": 100, "periodSeconds": 5}],
            },
        },
        **autoscaling,
    }
    workload = {
        "instances": 1,
        "resources": {**SMALL, "limits": {"memory": "512Mi"}},
        "autoscaling": scaling,
        "serving": {"threads": THREADS},
        # Gateways notice within 3 s that a pod ends. With 2 s here, requests found closed ports: 503, 1 of 50.
        "drain": {"preStopSeconds": 0, "propagationSeconds": 5, "requestSeconds": 10, "marginSeconds": 1},
        "rollingUpdate": {"minReadySeconds": 0},
        "extraEnv": [{"name": "DOUBLER_FAULTS", "value": json.dumps({"delay_ms": CALL_MS})}],
    }
    image = {"repository": f"fairlead/model-{NAME}"}
    return {
        **MODEL,
        "image": image,
        "target": released,
        "versions": {version: {} for version in (VERSION, released)},
        "strategy": strategy or STAYS,
        "workload": workload,
    }


def _scaled(platform: Installed) -> list[str]:
    return platform.kube("get", "scaledobjects", "-o", "name").split()


@contextmanager
def running_loop(cluster: Cluster, platform: Installed, folder: Path, **autoscaling: Any) -> Iterator[Loop]:
    """Run KEDA and Prometheus, and the model with these values of autoscaling until it serves with one instance."""
    namespace = platform.kube.namespace
    with ExitStack() as stack:
        api = Api(kubeconfig.load(environment={"KUBECONFIG": str(cluster.kubeconfig)}))
        stack.callback(api.close)
        prometheus = stack.enter_context(scraping.scraping_pods(folder / "prometheus", api, namespace, NAME))
        keda = stack.enter_context(running_keda(cluster, folder))
        # While KEDA can remove its finalizer: without its operator the object stays for ever, for whoever comes next.
        stack.callback(wait_until, lambda: not _scaled(platform), "the ScaledObjects are gone", within=120, every=0.5)
        stack.callback(platform.remove, NAME)
        platform.deploy(NAME, values(prometheus.url, autoscaling))
        platform.wait_for(NAME, "the model serves", stable=VERSION, phase="Stable", within=180)
        (deployment,) = platform.of_version("deployments", NAME, VERSION)
        samples = stack.enter_context(sampled(api, namespace, deployment["metadata"]["name"]))
        yield Loop(platform, keda, prometheus, samples, api)
