"""The platform and its models in one namespace of a cluster, as their charts install them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
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
"""Two of each, as by default, on a node of two cores."""
MODEL: dict[str, Any] = {
    "image": {"repository": "fairlead/model-iris"},
    "workload": {"resources": {**SMALL, "limits": {"memory": "512Mi"}}},
}
"""Each story has a model of its own name: a gateway needs some seconds to forget one."""


def install_crds(client: Client) -> None:
    """charts/crds, once for a whole cluster; whoever comes second finds it done."""
    client.helm("upgrade", "--install", "fairlead-crds", str(CHARTS / "crds"), "--namespace=default", "--wait")


@dataclass(frozen=True)
class Installed:
    """A platform called `fairlead` in the client's namespace; `url` leads to its gateways' Service."""

    kube: Client
    folder: Path
    url: str
    network: str | None
    since: float
    """time.monotonic() before anything of it was installed."""

    def deploy(self, model: str, values: Mapping[str, Any], *options: str) -> str:
        """Install or upgrade a model's release; what helm said."""
        path = self.folder / f"{model}.json"
        path.write_text(json.dumps(values))
        return self.kube.helm("upgrade", "--install", model, str(CHARTS / "model"), "--values", str(path), *options)

    def remove(self, model: str) -> None:
        """Uninstall a model's release, and wait until nothing of it is left but pods that drain."""
        self.kube.helm("uninstall", model, "--ignore-not-found")
        kinds = "modelroutes,modelrouterevisions,modelrouteactions,deployments,services"
        mine = f"fairlead.dev/model={model}"

        def left() -> list[str]:
            return self.kube("get", kinds, "--selector", mine, "-o", "name").split()

        wait_until(
            lambda: not left(), f"everything of {model} is gone", within=180, every=0.3
        )  # collectors take their time after an outage

    def fairlead(self, *arguments: str, expect: int = 0) -> str:
        """`fairlead ARGUMENTS` as a person at a terminal; what it printed."""
        done = subprocess.run(
            [FAIRLEAD, *arguments, "--namespace", self.kube.namespace],
            env={**os.environ, "KUBECONFIG": str(self.kube.kubeconfig), "COLUMNS": "200"},
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == expect, f"fairlead {arguments}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def history(self, model: str) -> list[Revision]:
        """The ledger, as the command line reads it."""
        return [
            Revision.model_validate(one)
            for one in json.loads(self.fairlead("history", model, "--limit", "1000", "--json"))
        ]

    def status(self, model: str) -> dict[str, Any]:
        """The route's status, as kubectl shows it."""
        found: dict[str, Any] = self.kube.get("modelroute", model).get("status") or {}
        return found

    def wait_for(self, model: str, what: str, *, within: float = PATIENCE_S, **status: object) -> dict[str, Any]:
        """The status, once these of its fields are so and every gateway serves it."""

        def reached(route: dict[str, Any]) -> bool:
            found = route.get("status") or {}
            plain = {name: found.get(name) for name in status}
            plain = {name: one["version"] if isinstance(one, dict) else one for name, one in plain.items()}
            gateways = found.get("gateways") or ()
            return plain == status and bool(gateways) and all(one.get("programmed") == found["seq"] for one in gateways)

        try:
            found: dict[str, Any] = self.kube.wait("modelroute", model, reached, what, within=within)["status"]
        except CommandFailed as failed:
            raise CommandFailed(f"{failed}\n{self.kube('get', 'modelroutes,pods,deployments')}") from None
        return found

    def wait_ready(self, *, within: float = 120) -> None:
        """Wait until every pod that is wanted is ready and every gateway says so."""

        def is_whole() -> bool:
            wanted = self.kube.get("deployments")["items"]
            return all(
                one["status"].get("readyReplicas", 0) == one["spec"]["replicas"] == one["status"].get("replicas")
                for one in wanted
            )

        wait_until(is_whole, "every Deployment has all its pods", within=within, every=0.3)

    def pods(self, component: str) -> dict[str, dict[str, Any]]:
        """Pods of the platform that are there to stay, by name."""
        found = self.kube.get("pods", "", "--selector", f"app.kubernetes.io/component={component}")["items"]
        return {one["metadata"]["name"]: one for one in found if "deletionTimestamp" not in one["metadata"]}

    def load(
        self, model: str, *, rate: float, seconds: float, question: Mapping[str, Any] | None = None, gateway: str = ""
    ) -> OpenLoop:
        """Predictions of ever new users through the gateways' Service, or through the gateway at this address alone.

        The Service chooses once for a connection, and one connection may carry all of a slow load.
        """
        first = zlib.crc32(gateway.encode()) if gateway else 0  # no user comes by two ways
        users = Users(f"/models/{model}/predict", body=json.dumps(question or FLOWER).encode(), first=first)
        return self.load_requests(users, rate=rate, seconds=seconds, gateway=gateway)

    def load_requests(
        self, request: Callable[[int], bytes], *, rate: float, seconds: float, gateway: str = ""
    ) -> OpenLoop:
        """Any requests, by the same two ways as `load`."""
        url, network = (f"http://{gateway}:8080", f"{gateway}/32") if gateway else (self.url, self.network)
        return OpenLoop(url, rate=rate, seconds=seconds, request=request, network=network)


@contextlib.contextmanager
def installed(
    cluster: Cluster, namespace: str, folder: Path, values: Mapping[str, Any], since: float
) -> Iterator[Installed]:
    """The platform in a namespace, without waiting for it; removed afterwards, before its namespace is."""
    kube = cluster.client(namespace)
    path = folder / "platform.json"
    path.write_text(json.dumps(values))
    kube.helm("install", "fairlead", str(CHARTS / "platform"), "--values", str(path))
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
    """A cluster of the user's own is reached the way its user does: one gateway, by a port here."""
    port = free_port()
    command = [
        *(str(kube.tools / "kubectl"), f"--kubeconfig={kube.kubeconfig}", f"--namespace={kube.namespace}"),
        *("port-forward", "service/fairlead-gateway", f"{port}:80"),
    ]
    with Child("kubectl port-forward", command, log=folder / "port-forward.log") as child:
        child.wait_until(lambda: "Forwarding" in child.tail(), "the port is forwarded")
        yield f"http://127.0.0.1:{port}"
