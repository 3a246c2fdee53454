"""The requests of test_rights.py: everything that somebody might ask of the API server, in words and as a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fairlead.contracts import labels
from fairlead.contracts.action import ActionType
from fairlead.contracts.revision import Cause
from unit.store.builders import successor

RELEASE = "fairlead"
STRATEGY = {"steps": [{"weight": 500, "minDuration": "30s"}, {"weight": 2500, "minDuration": "1m", "approval": True}]}
SPEC = {
    "model": "iris",
    "versions": {"1.0.0": {"image": "models/iris:1"}, "1.1.0": {"image": "models/iris:2"}},
    "target": {"version": "1.0.0"},
    "strategy": STRATEGY,
}


def a_deployment(name: str, labelled: dict[str, str]) -> dict[str, Any]:
    pod = {"containers": [{"name": "model", "image": "models/iris:1"}]}
    return {
        "metadata": {"name": name, "labels": labelled},
        "spec": {
            "minReadySeconds": 5,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        },
    }


KINDS = {
    "configmaps": "ConfigMap",
    "deployments": "Deployment",
    "leases": "Lease",
    "modelrouteactions": "ModelRouteAction",
    "modelrouterevisions": "ModelRouteRevision",
    "modelroutes": "ModelRoute",
    "pods": "Pod",
}


def typed(path: str, body: dict[str, Any]) -> dict[str, Any]:
    group, _, rest = path.removeprefix("/apis/").removeprefix("/api/").partition("/namespaces/")
    return {"apiVersion": group, "kind": KINDS[rest.split("/")[1]], **body}


Request = tuple[str, str, dict[str, Any] | None]
A_ROUTE = (labels.API_VERSION, "modelroutes", "iris")
A_VERSION = ("apps/v1", "deployments", "iris-0123456789")
A_MANAGED_VERSION = ("apps/v1", "deployments", "iris-managed")
ANOTHER = ("apps/v1", "deployments", "shop")
LEASES = ("coordination.k8s.io/v1", "leases")
OWNER = {"apiVersion": labels.API_VERSION, "kind": "ModelRoute", "name": "iris", "uid": "0"}
TO_LATER = {"target": {"version": "1.1.0"}}
EVERYBODY_WITH_A_ROLE = {"viewer", "releaser", "on-call", "control plane"}


def spec(**changes: object) -> dict[str, Any]:
    return {"spec": changes}


def container(**changes: object) -> dict[str, Any]:
    """A change of the pods: what runs there, and what it can read."""
    one = {"name": "model", "image": "models/iris:1", **changes}
    return {"spec": {"template": {"spec": {"containers": [one]}}}}


def action(kind: str, actor: str) -> dict[str, Any]:
    return {"metadata": {"generateName": "a-"}, "spec": {"route": "iris", "type": kind, "actor": actor}}


def named(name: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **more}}


def requests(who: str, at: Callable[..., str]) -> dict[str, Request]:
    """Every request of interest, as this user would make it."""
    head = successor(None, cause=Cause.CREATED).sealed().to_json()
    actions, fence = at(labels.API_VERSION, "modelrouteactions"), {labels.LEASE: "leader"}
    claimed = {"metadata": {"annotations": {labels.CHANGED_BY: "2 somebody else"}}, **spec(**TO_LATER)}
    return {
        "see routes": ("GET", at(*A_ROUTE[:2]), None),
        "see revisions": ("GET", at(labels.API_VERSION, "modelrouterevisions"), None),
        "see Leases": ("GET", at(*LEASES, f"{RELEASE}-control-plane") if who == "control plane" else at(*LEASES), None),
        "read Secrets": ("GET", at("", "secrets"), None),
        "release": ("PATCH", at(*A_ROUTE), spec(**TO_LATER)),
        "release in another's name": ("PATCH", at(*A_ROUTE), claimed),
        "release in its own name": (
            "PATCH",
            at(*A_ROUTE),
            {"metadata": {"annotations": {labels.CHANGED_BY: f"2 {who}"}}, **spec(**TO_LATER)},
        ),
        "claim a change that another made": (
            "PATCH",
            at(*A_ROUTE),
            {"metadata": {"annotations": {labels.CHANGED_BY: f"1 {who}"}}},
        ),
        "take away the steps": ("PATCH", at(*A_ROUTE), spec(strategy={"steps": []})),
        "take away the approval": ("PATCH", at(*A_ROUTE), spec(strategy={"steps": STRATEGY["steps"][:1]})),
        "turn a gate off": (
            "PATCH",
            at(*A_ROUTE),
            spec(strategy={"gates": [{"name": "errors", "role": "off"}]}),
        ),
        "give the route another model": ("PATCH", at(*A_ROUTE), spec(model="other")),
        "have the route collected as garbage": (
            "PATCH",
            at(*A_ROUTE),
            {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "0"}]}},
        ),
        "delete the route": ("DELETE", at(*A_ROUTE), None),
        "create a route": ("POST", at(*A_ROUTE[:2]), {**named("wine"), "spec": {**SPEC, "model": "wine"}}),
        "write a status": ("PATCH", at(*A_ROUTE, "status"), {"status": {"phase": "Stable"}}),
        "append a revision": (
            "POST",
            at(labels.API_VERSION, "modelrouterevisions"),
            {**named("iris-1", annotations={labels.FENCE: "1"}), "spec": head},
        ),
        **{f"{kind}": ("POST", actions, action(kind, who)) for kind in ActionType},
        "roll back in another's name": ("POST", actions, action("rollback", "somebody else")),
        "own a version": ("PATCH", at(*A_VERSION), {"metadata": {"ownerReferences": [OWNER]}}),
        "delete a version": ("DELETE", at(*A_VERSION), None),
        "own another Deployment": ("PATCH", at(*ANOTHER), {"metadata": {"ownerReferences": [OWNER]}}),
        "delete another Deployment": ("DELETE", at(*ANOTHER), None),
        "give a version another owner": (
            "PATCH",
            at(*A_VERSION),
            {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "0"}]}},
        ),
        "label another Deployment as a version": (
            "PATCH",
            at(*ANOTHER),
            {"metadata": {"labels": {labels.ROUTE: "iris", labels.IDENTITY: "0123456789"}}},
        ),
        "run another image": ("PATCH", at(*A_VERSION), container(image="evil")),
        "run another command": ("PATCH", at(*A_VERSION), container(command=["sh"])),
        "mount a Secret as variables": (
            "PATCH",
            at(*A_VERSION),
            container(envFrom=[{"secretRef": {"name": "passwords"}}]),
        ),
        "run as another account": (
            "PATCH",
            at(*A_VERSION),
            {"spec": {"template": {"spec": {"serviceAccountName": "other"}}}},
        ),
        "scale a version": ("PATCH", at(*A_VERSION), spec(replicas=0)),
        "scale a version as an autoscaler does": ("PATCH", at(*A_VERSION, "scale"), spec(replicas=0)),
        "scale another Deployment": ("PATCH", at(*ANOTHER), spec(replicas=0)),
        "mark a version as managed": (
            "PATCH",
            at(*A_VERSION),
            {"metadata": {"labels": {labels.SCALED_BY: labels.SCALED_BY_CONTROL_PLANE}}},
        ),
        "scale a managed version": ("PATCH", at(*A_MANAGED_VERSION), spec(replicas=0)),
        "scale a managed version to more pods than a spec may have": (
            "PATCH",
            at(*A_MANAGED_VERSION),
            spec(replicas=65),
        ),
        "scale a managed version and run another image": (
            "PATCH",
            at(*A_MANAGED_VERSION),
            {"spec": {**container(image="evil")["spec"], "replicas": 0}},
        ),
        "scale a managed version and pause it": ("PATCH", at(*A_MANAGED_VERSION), spec(replicas=0, paused=True)),
        "scale a managed version and drop a field": (
            "PATCH",
            at(*A_MANAGED_VERSION),
            spec(replicas=0, minReadySeconds=None),
        ),
        "annotate a version's pods": (
            "PATCH",
            at(*A_VERSION),
            {"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}},
        ),
        "create a Deployment": ("POST", at(*ANOTHER[:2]), a_deployment("evil", {})),
        "create a pod": (
            "POST",
            at("", "pods"),
            {**named("evil"), "spec": {"containers": [{"name": "a", "image": "evil"}]}},
        ),
        "create the Lease": ("POST", at(*LEASES), named(f"{RELEASE}-control-plane", labels=fence)),
        "create another Lease that fences": ("POST", at(*LEASES), named("other", labels=fence)),
        "create another Lease": ("POST", at(*LEASES), named("other")),
        "create the publication": ("POST", at("", "configmaps"), named(f"{RELEASE}-publication")),
        "create another ConfigMap": ("POST", at("", "configmaps"), named("other")),
    }
