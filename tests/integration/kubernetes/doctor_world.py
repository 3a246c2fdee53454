"""A platform and a model in a namespace, as `fairlead doctor` should find them.

The charts are installed by Helm and the scheduler places the pods; KWOK makes them ready. No program of ours runs in
them, so the test writes what a control plane and KEDA would write: Lease and statuses.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from fairlead import errors
from fairlead.cli.doctor.cluster import CHECKS
from fairlead.cli.doctor.finding import Finding, Level, examine
from fairlead.cli.doctor.kinds import (
    DAEMON_SETS,
    SCALED_OBJECTS,
)
from fairlead.cli.doctor.seen import Seen
from fairlead.contracts import labels
from fairlead.contracts.route import VersionSpec
from fairlead.store.kubernetes import kubeconfig
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import LEASES, ROUTES, Kind, Object
from support.cluster.kubectl import Client
from support.cluster.lifecycle import Cluster

CHARTS = Path(__file__).parents[3] / "charts"
NAMESPACE = "doctor"
DIGEST = "sha256:" + "0123456789abcdef" * 4
OTHER = "sha256:" + "fedcba9876543210" * 4
WORKLOAD = {
    "instances": 1,
    "autoscaling": {"kind": "keda", "prometheus": {"serverAddress": "http://prometheus.monitoring:9090"}},
}
VERSIONS = {"1.0.0": {"image": {"digest": DIGEST}}, "1.1.0": {"image": {"digest": OTHER}}}
IRIS = {"model": "iris", "target": "1.0.0", "versions": VERSIONS, "workload": WORKLOAD}
SMALL = {"replicas": 1, "podDisruptionBudget": {"enabled": False}}
PLATFORM = {"controlPlane": SMALL, "gateway": SMALL}
RBAC = "rbac.authorization.k8s.io"
ROLES = Kind("/apis/rbac.authorization.k8s.io/v1", "roles", "Role")
DEFINITIONS = Kind("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition")
KEDA = yaml.safe_load((CHARTS.parent / "tests/charts/keda_scaledobjects.yaml").read_text())
CONTROL_PLANE, GATEWAY = "fairlead-control-plane", "fairlead-gateway"


def version(name: str) -> str:
    """The name of a version's objects."""
    image = f"fairlead/model-iris@{VERSIONS[name]['image']['digest']}"
    return f"iris-{VersionSpec(image=image).ref(name).identity}"


class _Told(Seen):
    """What is seen, with other answers at some paths: no test can start an older API server."""

    def __init__(self, api: Api, says: dict[str, Object]) -> None:
        super().__init__(api, NAMESPACE)
        self._says = says

    def ask(self, method: str, path: str, needed: str, body: Object | None = None) -> Object:
        return self._says.get(path) or super().ask(method, path, needed, body)


@dataclass(frozen=True)
class World:
    """A namespace with a platform and a model. `leader` is the API as the account of its control plane."""

    kube: Client
    api: Api
    leader: Api
    says: dict[str, Object] = field(default_factory=dict)
    """What the API server seems to answer at these paths."""

    def findings(self) -> list[Finding]:
        return list(examine(_Told(self.api, self.says), CHECKS))

    def wrong(self) -> list[str]:
        """What is not ok, each with its level."""
        return [f"{one.level}: {one.what}" for one in self.findings() if one.level is not Level.OK]

    def helm(self, release: str, chart: str, values: dict[str, Any]) -> None:
        path = self.kube.kubeconfig.parent / f"doctor-{release}.json"
        path.write_text(json.dumps(values))
        self.kube.helm("upgrade", "--install", release, str(CHARTS / chart), "--values", str(path), "--force-conflicts")

    def install_keda(self) -> None:
        """Its kind ScaledObject, without its operator."""
        self.kube.apply(KEDA)
        self.kube("wait", "crd", KEDA["metadata"]["name"], "--for=condition=Established")

    def scale(self) -> None:
        """As KEDA's operator does: every ScaledObject is ready."""
        for name in VERSIONS:
            self.write_status(SCALED_OBJECTS, version(name), Ready=(True, "ready"))

    def write_lease(self, seconds: int = 3600, ahead: timedelta = timedelta()) -> None:
        """As a leader whose clock is `ahead` renews it."""
        spec = {
            "holderIdentity": "fairlead-control-plane-0",
            "leaseDurationSeconds": seconds,
            "renewTime": (datetime.now(UTC) + ahead).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "leaseTransitions": 1,
        }
        body = {"metadata": {"name": CONTROL_PLANE, "labels": {labels.LEASE: "leader"}}, "spec": spec}
        try:
            self.leader.create(LEASES, NAMESPACE, body)
        except errors.Conflict:
            self.leader.patch(LEASES, NAMESPACE, CONTROL_PLANE, {"spec": spec})

    def write_status(self, kind: Kind, name: str, **conditions: tuple[bool, str]) -> None:
        """Conditions of an object, as its controller writes them."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        written = [
            {
                "type": one,
                "status": str(holds),
                "reason": "Behind",
                "message": message,
                **({"lastTransitionTime": now} if kind is ROUTES else {}),
            }
            for one, (holds, message) in conditions.items()
        ]
        self.api.patch(kind, NAMESPACE, name, {"status": {"conditions": written}}, part="status")


@contextmanager
def a_world(prepared: Cluster) -> Iterator[World]:
    """The namespace, with everything in it as it should be."""
    kube = prepared.client(NAMESPACE)
    account = f"system:serviceaccount:{NAMESPACE}:{CONTROL_PLANE}"
    apis = [
        Api(kubeconfig.load(environment={"KUBECONFIG": str(prepared.client_of(name, groups).kubeconfig)}))
        for name, groups in (
            ("grace", ["system:masters"]),
            (account, ["system:masters", f"system:serviceaccounts:{NAMESPACE}"]),
        )
    ]
    found = World(kube, apis[0], apis[1])
    with ExitStack() as undo:
        for one in apis:
            undo.callback(one.close)
        kube("create", "namespace", NAMESPACE)
        undo.callback(kube, "delete", "namespace", NAMESPACE, "--wait=false")
        found.install_keda()
        undo.callback(kube, "delete", "crd", KEDA["metadata"]["name"])
        undo.callback(kube.helm, "uninstall", "fairlead", "--ignore-not-found")
        agent = {"labels": {"app": "agent"}}
        pod = {"containers": [{"name": "agent", "image": "agent"}], "nodeSelector": {"none": "none"}}
        spec = {"selector": {"matchLabels": agent["labels"]}, "template": {"metadata": agent, "spec": pod}}
        found.api.create(DAEMON_SETS, "kube-system", {"metadata": {"name": "calico-node"}, "spec": spec})
        undo.callback(found.api.delete, DAEMON_SETS, "kube-system", "calico-node")
        found.helm("fairlead", "platform", PLATFORM)
        found.helm("iris", "model", IRIS)
        found.write_lease()
        found.scale()
        healthy = {"Ready": (True, "serves"), "Programmed": (True, ""), "Counted": (True, "")}
        found.write_status(ROUTES, "iris", **healthy)
        yield found
