"""Creates a version's objects like the charts and Kubernetes' own controllers."""

from __future__ import annotations

from typing import Any

from fairlead.contracts import labels
from fairlead.contracts.route import VersionRef
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import DEPLOYMENTS, PODS, ROUTES, SLICES, Kind
from fairlead.store.kubernetes.ledger import owned_by
from support.processes import wait_until

SERVICES = Kind("/api/v1", "services", "Service")
ACCOUNTS = Kind("/api/v1", "serviceaccounts", "ServiceAccount")


def labelled(ref: VersionRef, model: str = "iris") -> dict[str, str]:
    return {labels.MODEL: model, labels.ROUTE: model, labels.VERSION: ref.version, labels.IDENTITY: ref.identity}


def make_version(
    api: Api, namespace: str, ref: VersionRef, *, model: str = "iris", adopted: bool = False, managed: bool = False
) -> None:
    """Create a Deployment and a headless Service like the chart.

    `adopted`: owned by the route, like after a tick. `managed`: the control plane writes the number of its pods.
    """
    name, selector = labels.version_name(model, ref), {"app": ref.identity}
    metadata: dict[str, Any] = {"name": name, "labels": labelled(ref, model)}
    if adopted:
        metadata["ownerReferences"] = [owned_by(api.get(ROUTES, namespace, model))]
    pod = {
        "metadata": {"labels": {**selector, **labelled(ref, model)}},
        "spec": {"containers": [{"name": "m", "image": "i"}]},
    }
    # Paused, so that no controller creates pods.
    spec = {"paused": True, "selector": {"matchLabels": selector}, "template": pod}
    scaled = {labels.SCALED_BY: labels.SCALED_BY_CONTROL_PLANE} if managed else {}
    deployment = {**metadata, "labels": metadata["labels"] | scaled}
    api.create(DEPLOYMENTS, namespace, {"metadata": deployment, "spec": spec})
    port = {"name": labels.PORT_NAME, "port": labels.SERVICE_PORT}
    headless = {"clusterIP": "None", "selector": selector, "ports": [port]}
    api.create(SERVICES, namespace, {"metadata": metadata, "spec": headless})


def make_slice(
    api: Api, namespace: str, ref: VersionRef, endpoints: dict[str, dict[str, Any]], *, model: str = "iris"
) -> None:
    found = [
        {"addresses": [address], "conditions": conditions, "targetRef": {"name": f"pod-{number}"}}
        for number, (address, conditions) in enumerate(endpoints.items())
    ]
    ports = [{"name": labels.PORT_NAME, "port": 8080}]
    metadata = {"name": f"slice-{ref.identity}", "labels": labelled(ref, model)}
    body = {"metadata": metadata, "addressType": "IPv4", "ports": ports, "endpoints": found}
    api.create(SLICES, namespace, body)


def make_pod(api: Api, namespace: str, ref: VersionRef, statuses: str, container: str) -> None:
    """Create a pod with this container that no scheduler handles."""
    wait_until(lambda: bool(api.list(ACCOUNTS, namespace)[0]), "the namespace has an account")
    own = {"name": container, "image": "i"}
    spec: dict[str, Any] = {"schedulerName": "nobody", "containers": [own]}
    if statuses == "initContainerStatuses":
        spec |= {"initContainers": [own], "containers": [{"name": "model", "image": "i"}]}
    api.create(PODS, namespace, {"metadata": {"name": "pod-0", "labels": labelled(ref)}, "spec": spec})


def write_crashes(api: Api, namespace: str, statuses: str, container: str, said: str, restarts: int) -> None:
    """Write what the kubelet writes of a container that ended so often, and left this message."""
    ended = {"exitCode": 6, "reason": "Error", "finishedAt": "2026-01-01T00:01:30Z", "message": said}
    crashed = {
        "name": container,
        "image": "i",
        "imageID": "",
        "ready": False,
        "restartCount": restarts,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}},
        "lastState": {"terminated": ended},
    }
    never = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:01Z"}
    status = {"phase": "Pending", "startTime": "2026-01-01T00:00:00Z", "conditions": [never], statuses: [crashed]}
    api.patch(PODS, namespace, "pod-0", {"status": status}, part="status")
