"""Creates a version's objects like the charts and Kubernetes' own controllers."""

from __future__ import annotations

from typing import Any

from fairlead.contracts import labels
from fairlead.contracts.route import VersionRef
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import DEPLOYMENTS, ROUTES, SLICES, Kind
from fairlead.store.kubernetes.ledger import owned_by

SERVICES = Kind("/api/v1", "services", "Service")


def labelled(ref: VersionRef) -> dict[str, str]:
    return {labels.MODEL: "iris", labels.ROUTE: "iris", labels.VERSION: ref.version, labels.IDENTITY: ref.identity}


def make_version(api: Api, namespace: str, ref: VersionRef, *, adopted: bool = False) -> None:
    """Create a Deployment and a headless Service like the chart; `adopted`: owned by the route, like after a tick."""
    name, selector = labels.version_name("iris", ref), {"app": ref.identity}
    metadata: dict[str, Any] = {"name": name, "labels": labelled(ref)}
    if adopted:
        metadata["ownerReferences"] = [owned_by(api.get(ROUTES, namespace, "iris"))]
    pod = {"metadata": {"labels": {**selector, **labelled(ref)}}, "spec": {"containers": [{"name": "m", "image": "i"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": selector}, "template": pod}
    api.create(DEPLOYMENTS, namespace, {"metadata": metadata, "spec": spec})
    port = {"name": labels.PORT_NAME, "port": labels.SERVICE_PORT}
    headless = {"clusterIP": "None", "selector": selector, "ports": [port]}
    api.create(SERVICES, namespace, {"metadata": metadata, "spec": headless})


def make_slice(api: Api, namespace: str, ref: VersionRef, **endpoints: dict[str, Any]) -> None:
    found = [
        {"addresses": [address.replace("_", ".")], "conditions": conditions, "targetRef": {"name": f"pod-{number}"}}
        for number, (address, conditions) in enumerate(endpoints.items())
    ]
    ports = [{"name": labels.PORT_NAME, "port": 8080}]
    metadata = {"name": f"slice-{ref.identity}", "labels": labelled(ref)}
    body = {"metadata": metadata, "addressType": "IPv4", "ports": ports, "endpoints": found}
    api.create(SLICES, namespace, body)
