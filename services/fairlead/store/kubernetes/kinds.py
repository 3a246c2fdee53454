"""The Kubernetes kinds that the store uses, which of their fields it keeps, and accessors for metadata."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fairlead.contracts import labels

Object = dict[str, Any]


def _as_it_is(found: Object) -> Object:
    found.get("metadata", {}).pop("managedFields", None)
    return found


def _metadata(found: Object) -> Object:
    """A whole object reduced to its metadata, as in a metadata-only list."""
    return {"metadata": {key: value for key, value in found["metadata"].items() if key != "managedFields"}}


def _route(found: Object) -> Object:
    """Keep the names of a route's field managers: they say who changed the spec, if our own command did not."""
    metadata = found.get("metadata", {})
    managers = [
        {"manager": one.get("manager"), "time": one.get("time", "")}
        for one in metadata.pop("managedFields", ())
        if "f:spec" in one.get("fieldsV1", {})
    ]
    if managers:
        metadata["managedFields"] = managers
    return found


NO_PODS = "ReplicaFailure"
"""The condition of a Deployment whose pods cannot be created: a quota, a policy or a webhook refuses them."""
_POD_STATUS = ("phase", "podIP", "startTime", "conditions", "initContainerStatuses", "containerStatuses")


def _pod(found: Object) -> Object:
    """Keep only what says why a pod is not ready: with thousands of pods, the rest would fill most of our memory."""
    metadata, status = found.get("metadata", {}), found.get("status", {})
    kept = {
        name: metadata[name] for name in ("name", "labels", "resourceVersion", "deletionTimestamp") if name in metadata
    }
    return {"metadata": kept, "status": {name: status[name] for name in _POD_STATUS if name in status}}


def _deployment(found: Object) -> Object:
    """Keep the metadata, the number of pods that it should have, and why it cannot create them."""
    failures = [one for one in found.get("status", {}).get("conditions") or () if one.get("type") == NO_PODS]
    kept = {**_metadata(found), "spec": {"replicas": found.get("spec", {}).get("replicas", 1)}}
    return {**kept, "status": {"conditions": failures}} if failures else kept


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind. `path` is its API group and version as a path; `selector` limits what is listed and watched."""

    path: str
    plural: str
    kind: str
    selector: str = ""
    metadata_only: bool = False
    """List and watch metadata only; whole objects are read one by one."""
    trim: Callable[[Object], Object] = _as_it_is

    @property
    def api_version(self) -> str:
        """The `apiVersion` of such an object."""
        return self.path.removeprefix("/apis/").removeprefix("/api/")


OURS = f"/apis/{labels.API_VERSION}"
ROUTES = Kind(OURS, "modelroutes", "ModelRoute", trim=_route)
REVISIONS = Kind(OURS, "modelrouterevisions", "ModelRouteRevision", metadata_only=True, trim=_metadata)
"""Metadata only: a ledger of 200 revisions with their evidence takes megabytes."""
ACTIONS = Kind(OURS, "modelrouteactions", "ModelRouteAction")
SLICES = Kind("/apis/discovery.k8s.io/v1", "endpointslices", "EndpointSlice", selector=labels.MODEL)
PODS = Kind("/api/v1", "pods", "Pod", selector=labels.MODEL, trim=_pod)
DEPLOYMENTS = Kind("/apis/apps/v1", "deployments", "Deployment", selector=labels.IDENTITY, trim=_deployment)
LEASES = Kind("/apis/coordination.k8s.io/v1", "leases", "Lease")
EVENTS = Kind("/api/v1", "events", "Event")
NODES = Kind("/api/v1", "nodes", "Node")
"""They belong to no namespace: listed with an empty one."""
DEVICE_CLASSES = Kind("/apis/resource.k8s.io/v1", "deviceclasses", "DeviceClass")
"""So do these, of dynamic resource allocation."""
CLAIMS = Kind(DEVICE_CLASSES.path, "resourceclaims", "ResourceClaim")
CLAIM_TEMPLATES = Kind(DEVICE_CLASSES.path, "resourceclaimtemplates", "ResourceClaimTemplate")
SCALED_OBJECTS = Kind("/apis/keda.sh/v1alpha1", "scaledobjects", "ScaledObject", metadata_only=True)
"""Of KEDA, which a cluster need not have."""
LEADERS = f"{labels.LEASE}=leader"
"""Selects the Leases of leader elections."""
WATCHED = (ROUTES, REVISIONS, ACTIONS, SLICES, PODS, DEPLOYMENTS)


def name_of(found: Object) -> str:
    """The object's name."""
    return str(found["metadata"]["name"])


def version_of(found: Object) -> int:
    """Its resource version as a number. A later write has a larger one; Kubernetes guarantees this since 1.35."""
    return int(found["metadata"].get("resourceVersion") or 0)


def label(found: Object, name: str) -> str:
    """One of its labels; empty when it has none."""
    return str((found["metadata"].get("labels") or {}).get(name, ""))


def annotation(found: Object, name: str) -> str:
    """One of its annotations; empty when it has none."""
    return str((found["metadata"].get("annotations") or {}).get(name, ""))
