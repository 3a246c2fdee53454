"""Installs the platform and models with their charts in a namespace of a cluster, and gives tests access to them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlead.contracts.revision import Revision
from support.cluster.kubectl import Client, CommandFailed
from support.cluster.lifecycle import Cluster
from support.cluster.programs import REPOSITORY
from support.load.open_loop import OpenLoop
from support.load.prebuilt import Users
from support.processes import PATIENCE_S, Child, free_port, wait_until

CHARTS = REPOSITORY / "charts"
FAIRLEAD = Path(sys.executable).with_name("fairlead")
FLOWER = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
SMALL = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}
PLATFORM: dict[str, Any] = {
    "controlPlane": {"resources": SMALL},
    "gateway": {"resources": SMALL, "concurrency": 1},
}
"""Values of charts/platform: small resources, because two gateways and two control planes share a node of two cores."""
MODEL: dict[str, Any] = {
    "image": {"repository": "fairlead/model-iris"},
    "workload": {"resources": {**SMALL, "limits": {"memory": "512Mi"}}},
}
"""Values of charts/model. Each test module uses its own model name, because gateways drop a removed model only after
some seconds."""


def install_crds(client: Client, chart: Path = CHARTS / "crds") -> None:
    """Install or upgrade charts/crds, once for a whole cluster. Calling it again changes nothing."""
    client.helm("upgrade", "--install", "fairlead-crds", str(chart), "--namespace=default", "--wait")


@dataclass(frozen=True)
class Installed:
    """A platform with the release name `fairlead` in the client's namespace. `url` is its gateways' Service."""

    kube: Client
    folder: Path
    url: str
    network: str | None
    since: float
    """time.monotonic() before the installation began."""
    models: set[str] = field(default_factory=set)
    """The models that were deployed and not removed yet."""

    def deploy(self, model: str, values: Mapping[str, Any], *options: str, chart: Path = CHARTS / "model") -> str:
        """Install or upgrade a model's release. Returns the output of helm."""
        self.models.add(model)
        return self._release(model, chart, values, *options)

    def upgrade(self, values: Mapping[str, Any], chart: Path = CHARTS / "platform") -> None:
        """Upgrade the platform's release, and wait until every gateway and control plane is a new one and ready."""
        self._release("fairlead", chart, values, "--wait", "--timeout=5m")

    def _release(self, name: str, chart: Path, values: Mapping[str, Any], *options: str) -> str:
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(values))
        return self.kube.helm("upgrade", "--install", name, str(chart), "--values", str(path), *options)

    def remove(self, model: str) -> None:
        """Uninstall a model's release, and wait until only its draining pods are left."""
        self.kube.helm("uninstall", model, "--ignore-not-found")
        kinds = "modelroutes,modelrouterevisions,modelrouteactions,deployments,services"
        mine = f"fairlead.dev/model={model}"

        def left() -> list[str]:
            return self.kube("get", kinds, "--selector", mine, "-o", "name").split()

        # The garbage collector may be slow after an outage.
        wait_until(lambda: not left(), f"everything of {model} is gone", within=180, every=0.3)
        self.models.discard(model)

    def of_version(self, kind: str, model: str, version: str) -> list[Any]:
        """The objects of one version. By its model too: another model's pods may still be draining."""
        labels = f"fairlead.dev/model={model},fairlead.dev/version={version}"
        found: list[Any] = self.kube.get(kind, "", "--selector", labels)["items"]
        return found

    def fairlead(self, *arguments: str, expect: int = 0) -> str:
        """Run `fairlead ARGUMENTS` in this namespace. Returns the output."""
        done = subprocess.run(
            [FAIRLEAD, *arguments, "--namespace", self.kube.namespace],
            env={**os.environ, "KUBECONFIG": str(self.kube.kubeconfig), "COLUMNS": "200"},
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == expect, f"fairlead {arguments}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def history(self, model: str) -> list[Revision]:
        """The ledger as `fairlead history` returns it."""
        return [
            Revision.model_validate(one)
            for one in json.loads(self.fairlead("history", model, "--limit", "1000", "--json"))
        ]

    def status(self, model: str) -> dict[str, Any]:
        """The status of the ModelRoute; empty if it has none."""
        found: dict[str, Any] = self.kube.get("modelroute", model).get("status") or {}
        return found

    def wait_for(self, model: str, what: str, *, within: float = PATIENCE_S, **status: object) -> dict[str, Any]:
        """Wait until the status has these values and every gateway serves the revision. Returns the status."""

        def reached(route: dict[str, Any]) -> bool:
            found = route.get("status") or {}
            plain = {name: found.get(name) for name in status}
            plain = {name: one["version"] if isinstance(one, dict) else one for name, one in plain.items()}
            gateways = found.get("gateways") or ()
            return plain == status and bool(gateways) and all(one.get("programmed") == found["seq"] for one in gateways)

        try:
            found: dict[str, Any] = self.kube.wait("modelroute", model, reached, what, within=within)["status"]
        except CommandFailed as failed:
            raise CommandFailed(f"{failed}\n{self._state()}") from None
        return found

    def _state(self) -> str:
        """What the cluster has, and the last lines of the control plane: which of the two is behind the other?"""
        objects = self.kube("get", "modelroutes,pods,deployments,endpointslices")
        conditions = self.kube("get", "endpointslices", "-o", "jsonpath={.items[*].endpoints[*].conditions}")
        pods = self.kube("get", "pods", "-o", "name").split()
        logs = [self.kube("logs", pod, "--tail=15") for pod in pods if "control-plane" in pod]
        return "\n".join([objects, conditions, *logs])

    def wait_ready(self, *, within: float = 120) -> None:
        """Wait until all pods of every Deployment are ready, and no old pods are left."""

        def is_ready() -> bool:
            deployments = self.kube.get("deployments")["items"]
            return all(
                one["status"].get("readyReplicas", 0) == one["spec"]["replicas"] == one["status"].get("replicas")
                for one in deployments
            )

        wait_until(is_ready, "every Deployment has all its pods", within=within, every=0.3)

    def pods(self, component: str) -> dict[str, dict[str, Any]]:
        """The platform's pods of this component that are not being deleted, by name."""
        found = self.kube.get("pods", "", "--selector", f"app.kubernetes.io/component={component}")["items"]
        return {one["metadata"]["name"]: one for one in found if "deletionTimestamp" not in one["metadata"]}

    def load(
        self, model: str, *, rate: float, seconds: float, question: Mapping[str, Any] | None = None, gateway: str = ""
    ) -> OpenLoop:
        """A load of predictions, each by a new user, through the gateways' Service or only the gateway at this address.

        The Service chooses a gateway once per connection, and one connection may carry all requests of a slow load.
        """
        first = zlib.crc32(gateway.encode()) if gateway else 0  # loads through different gateways have different users
        users = Users(f"/models/{model}/predict", body=json.dumps(question or FLOWER).encode(), first=first)
        return self.load_requests(users, rate=rate, seconds=seconds, gateway=gateway)

    def load_requests(
        self, request: Callable[[int], bytes], *, rate: float, seconds: float, gateway: str = ""
    ) -> OpenLoop:
        """A load of any requests, through the Service or one gateway, as `load`."""
        url, network = (f"http://{gateway}:8080", f"{gateway}/32") if gateway else (self.url, self.network)
        return OpenLoop(url, rate=rate, seconds=seconds, request=request, network=network)


@contextlib.contextmanager
def installed(
    cluster: Cluster,
    namespace: str,
    folder: Path,
    values: Mapping[str, Any],
    since: float,
    chart: Path = CHARTS / "platform",
) -> Iterator[Installed]:
    """Install the platform in a namespace, without waiting until it is ready. It is uninstalled after the block."""
    kube = cluster.client(namespace)
    path = folder / "platform.json"
    path.write_text(json.dumps(values))
    kube.helm("install", "fairlead", str(chart), "--values", str(path))
    with contextlib.ExitStack() as undo:
        undo.callback(kube.helm, "uninstall", "fairlead", "--ignore-not-found")
        if cluster.plan is not None:
            address = kube.get("service", "fairlead-gateway")["spec"]["clusterIP"]
            yield Installed(kube, folder, f"http://{address}:80", cluster.plan.services, since)
        else:
            kube("rollout", "status", "deployment/fairlead-gateway", "--timeout=120s")
            yield Installed(kube, folder, undo.enter_context(_forwarded(kube, folder)), None, since)


@contextlib.contextmanager
def _forwarded(kube: Client, folder: Path) -> Iterator[str]:
    """Forward a local port to one gateway: the gateways of the user's own cluster are not reachable otherwise."""
    port = free_port()
    command = [
        *(str(kube.tools / "kubectl"), f"--kubeconfig={kube.kubeconfig}", f"--namespace={kube.namespace}"),
        *("port-forward", "service/fairlead-gateway", f"{port}:80"),
    ]
    with Child("kubectl port-forward", command, log=folder / "port-forward.log") as child:
        child.wait_until(lambda: "Forwarding" in child.tail(), "the port is forwarded")
        yield f"http://127.0.0.1:{port}"
