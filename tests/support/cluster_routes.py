"""A cluster's control plane and gateways as local processes with a real API server, but without nodes and pods.

Each replica and each gateway has its own loopback address, so that all of them can use the real ports. The names of
all models' Services resolve to one backend. Pods, Deployments and EndpointSlices are only objects: nothing runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from fairlead.contracts import labels
from fairlead.contracts.gateway import GatewaySite
from fairlead.contracts.route import RouteSpec, VersionRef
from fairlead.control.chart_settings import XDS_PORT
from fairlead.control.gateways import ADMIN_PORT
from fairlead.routing.envoy.bootstrap import rest_bootstrap
from fairlead.routing.snapshot import Endpoint
from fairlead.store.kubernetes import KubernetesStore, kubeconfig
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import DEPLOYMENTS, PODS, SLICES, Object
from support.cluster.lifecycle import Cluster, temporary
from support.cluster_replica import LoopbackChartSettings
from support.envoy import Envoy, running_envoy
from support.nameserver import NameServer, resolver
from support.processes import Child, free_port, wait_until

NAMESPACE, RELEASE = "models", "fairlead"
TESTS = Path(__file__).resolve().parents[1]
CRDS = TESTS.parent / "charts" / "crds"
MAX_PARALLEL = 8
CLUSTER_ADMIN = "kubernetes-admin"
"""The user of the cluster's kubeconfig: a policy compares it with the actor that a spec names."""


@dataclass
class ClusterRoutes:
    """One namespace with the platform's processes and the models' objects. Use `cluster_routes`."""

    folder: Path
    stack: ExitStack
    names: NameServer
    cluster: Cluster
    api: Api
    gateway_port: int
    store: KubernetesStore
    """Without a cache, as in the command line: every read is a request."""
    replicas: dict[str, Child] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    envoys: dict[str, Envoy] = field(default_factory=dict)
    sites: list[GatewaySite] = field(default_factory=list)

    def add_replica(self, name: str) -> Child:
        """Start a replica of the control plane. The first one becomes the leader."""
        address = self.addresses[name] = f"127.0.2.{len(self.addresses) + 1}"
        chart = LoopbackChartSettings(NAMESPACE, RELEASE, name, address, gateway_port=self.gateway_port)
        child = Child(
            f"replica-{name}",
            [
                sys.executable,
                "-m",
                "support.cluster_replica",
                TypeAdapter(LoopbackChartSettings).dump_json(chart).decode(),
            ],
            log=self.folder / f"replica-{name}.log",
            env={
                "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent / "services")]),
                "KUBECONFIG": str(self.cluster.kubeconfig),
                "MALLOC_ARENA_MAX": "2",  # as in the image
            },
        )
        self.replicas[name] = self.stack.enter_context(child)
        return child

    def add_gateway(self, name: str, replica: str) -> Envoy:
        """Start a gateway that gets its configuration from this replica. It may not be ready yet."""
        site = GatewaySite(name, f"127.0.1.{len(self.sites) + 1}", ADMIN_PORT)
        of_gateway = {labels.COMPONENT: labels.COMPONENT_GATEWAY, labels.INSTANCE: RELEASE}
        self._pod(name, of_gateway, site.host)
        self.sites.append(site)
        folder = self.folder / name
        folder.mkdir()
        asks = Endpoint(self.addresses[replica], XDS_PORT)
        reads, page = Endpoint(site.host, site.admin_port), str(folder / "admin.sock")
        config = rest_bootstrap(asks, admin=reads, admin_path=page, cluster=RELEASE, node=name)
        envoy = running_envoy({**config, **resolver(self.names)}, folder, wait=False, admin_port=site.admin_port)
        self.envoys[name] = self.stack.enter_context(envoy)
        return self.envoys[name]

    def deploy(self, specs: Sequence[RouteSpec]) -> None:
        """Create a Deployment, a pod and a ready endpoint for each version, as the charts and Kubernetes would."""
        versions = [(spec.model, one.ref(version)) for spec in specs for version, one in spec.versions.items()]
        with ThreadPoolExecutor(MAX_PARALLEL) as pool:
            list(pool.map(lambda one: self._version(*one), versions))

    def put(self, spec: RouteSpec) -> None:
        """Write the route's spec."""
        self.store.put_route(spec.model, spec, now=datetime.now(UTC), actor=CLUSTER_ADMIN)

    def wait_for(self, models: Sequence[str], condition: str, *, within: float) -> None:
        """Wait until the newest revision of every route has this cause or phase."""
        waiting = list(models)

        def holds() -> bool:
            while waiting:
                head = self.store.head(waiting[-1])
                if head is None or condition not in (head.cause.value, head.state.phase.value):
                    return False
                waiting.pop()
            return True

        wait_until(holds, f"{waiting[-1:]} is {condition}", within=within, every=0.2)

    def _version(self, model: str, ref: VersionRef) -> None:
        name = labels.version_name(model, ref)
        named = {labels.MODEL: model, labels.ROUTE: model, labels.VERSION: ref.version, labels.IDENTITY: ref.identity}
        template = {"metadata": {"labels": named}, "spec": {"containers": [{"name": "model", "image": "model"}]}}
        spec = {"replicas": 1, "selector": {"matchLabels": named}, "template": template}
        self.api.create(DEPLOYMENTS, NAMESPACE, {"metadata": {"name": name, "labels": named}, "spec": spec})
        self._pod(f"{name}-0", named, "10.0.0.1")
        endpoint = {"addresses": ["10.0.0.1"], "conditions": {"ready": True}, "targetRef": {"name": f"{name}-0"}}
        ports = [{"name": labels.PORT_NAME, "port": labels.SERVICE_PORT}]
        found = {"addressType": "IPv4", "ports": ports, "endpoints": [endpoint]}
        self.api.create(SLICES, NAMESPACE, {"metadata": {"name": name, "labels": named}, **found})

    def _pod(self, name: str, labelled: dict[str, str], address: str) -> None:
        """Create a pod that no scheduler handles, with the status of a running one."""
        spec = {"schedulerName": "nobody", "containers": [{"name": "main", "image": "main"}]}
        self.api.create(PODS, NAMESPACE, {"metadata": {"name": name, "labels": labelled}, "spec": spec})
        status: Object = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
        self.api.patch(PODS, NAMESPACE, name, {"status": status}, part="status")


@contextmanager
def cluster_routes(folder: Path, names: NameServer) -> Iterator[ClusterRoutes]:
    """Start an API server, with no replica and no gateway yet. At the end of the block everything is stopped."""
    with temporary("control_plane") as cluster, ExitStack() as stack:
        cluster.client().helm("upgrade", "--install", "fairlead-crds", str(CRDS), "--wait")
        api = Api(kubeconfig.load(environment={"KUBECONFIG": str(cluster.kubeconfig)}))
        stack.callback(api.close)
        api.request("POST", "/api/v1/namespaces", body={"metadata": {"name": NAMESPACE}})
        _wait_for_account(api)
        store = KubernetesStore.direct(api, NAMESPACE)
        yield ClusterRoutes(folder, stack, names, cluster, api, free_port(), store)


def _wait_for_account(api: Api) -> None:
    """Wait for the namespace's service account: pods cannot be created before it exists."""
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
    wait_until(lambda: bool(api.request("GET", path).get("items")), "the namespace has an account")
