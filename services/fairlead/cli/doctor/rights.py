"""Whether the control plane's account has the rights that it needs: the API server is asked for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fairlead import errors
from fairlead.cli.doctor.finding import Check, Finding, problem
from fairlead.cli.doctor.kinds import SCALED_OBJECTS
from fairlead.cli.doctor.seen import Seen, of_component, pod_spec, variables
from fairlead.contracts import labels
from fairlead.store.kubernetes.kinds import Object, label, name_of


@dataclass(frozen=True, slots=True)
class Right:
    """Verbs on one resource of an API group, and what fails without them."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    why: str


_SEE = ("get", "list", "watch")
_OWN = (*_SEE, "patch", "delete")
_VERSIONS = "versions that left the spec are not deleted, and no managed version is scaled"
RIGHTS = (
    Right(labels.GROUP, ("modelroutes", "modelrouteactions"), _SEE, "it sees no route and no action"),
    Right(labels.GROUP, ("modelroutes/status", "modelrouteactions/status"), ("get", "patch", "update"), "no status"),
    Right(labels.GROUP, ("modelrouterevisions",), (*_SEE, "create", "delete"), "it cannot write the ledger"),
    Right(labels.GROUP, ("modelrouteactions",), ("create", "delete"), "actions are not verified and never removed"),
    Right("discovery.k8s.io", ("endpointslices",), _SEE, "it sees no ready pod, so nothing is released"),
    Right("", ("pods",), _SEE, "it cannot say why a pod is not ready, and finds no gateway"),
    Right("", ("events",), ("create",), "events of routes are missing"),
    Right("coordination.k8s.io", ("leases",), ("create",), "nobody can lead"),
    Right("apps", ("deployments",), _OWN, _VERSIONS),
    Right("", ("services",), _OWN, _VERSIONS),
    Right("policy", ("poddisruptionbudgets",), _OWN, _VERSIONS),
    Right("autoscaling", ("horizontalpodautoscalers",), _OWN, _VERSIONS),
)
"""Those of the chart's Role of each namespace; a test compares the two. A Lease of its own is asked for by name."""
OWN_NAMESPACE = (
    Right("", ("pods/log",), ("get",), "it cannot say why a gateway rejected a table"),
    Right("", ("configmaps",), ("create",), "gateways get no tables"),
)
"""More in the platform's own namespace. Its ConfigMap is asked for by name."""
FURTHER_NAMESPACE = (Right("coordination.k8s.io", ("leases",), ("list",), "it does not work beside another platform"),)
"""More in each further namespace that it serves."""
OF_SCALED_OBJECTS = Right("keda.sh", ("scaledobjects",), _OWN, "ScaledObjects of versions that are gone stay")
_NAMED = ("get", "update", "patch")
_OF_NAMESPACE = "/apis/authorization.k8s.io/v1/namespaces/{namespace}/localsubjectaccessreviews"
_OF_CLUSTER = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


def control_plane_may(seen: Seen) -> Iterator[Finding]:
    """The rights in the namespace."""
    for part in of_component(seen.deployments, labels.COMPONENT_CONTROL_PLANE):
        release = label(part, labels.INSTANCE)
        own = [
            (Right("coordination.k8s.io", ("leases",), _NAMED, "nobody can lead"), f"{release}-control-plane"),
            (Right("", ("configmaps",), _NAMED, "gateways get no tables"), f"{release}-publication"),
            (Right("", ("configmaps",), _NAMED, "quotas of clients begin anew"), f"{release}-quotas"),
        ]
        scaled = [OF_SCALED_OBJECTS] if any(label(one, labels.MODEL) for one in seen.list(SCALED_OBJECTS)) else []
        rights = [*((one, "") for one in (*RIGHTS, *OWN_NAMESPACE, *scaled)), *own]
        yield from _lacking(seen, part, seen.namespace, rights)


def further_namespaces(seen: Seen) -> Iterator[Finding]:
    """The rights in each further namespace. One that it may not read at all is one line."""
    for part in of_component(seen.deployments, labels.COMPONENT_CONTROL_PLANE):
        lease = labels.served_name(label(part, labels.INSTANCE), seen.namespace)
        named = (Right("coordination.k8s.io", ("leases",), _NAMED, "it writes nothing there"), lease)
        for namespace in filter(None, variables(part).get("FAIRLEAD_NAMESPACES", "").split(",")):
            try:
                readable = _may(seen, part, namespace, labels.GROUP, "modelroutes", "list", "")
            except errors.NotFound:
                readable = False
            if readable:
                rights = [*((one, "") for one in (*RIGHTS, *FURTHER_NAMESPACE)), named]
                yield from _lacking(seen, part, namespace, rights)
                continue
            yield problem(
                f"the control plane {name_of(part)} may not read the namespace {namespace}, which it is to serve",
                "its models are not served, or what they serve does not change; other namespaces go on",
                "create the namespace if it does not exist, then upgrade the platform's chart with the same values; or "
                "take it out of `namespaces`",
            )


def _lacking(seen: Seen, part: Object, namespace: str, rights: Sequence[tuple[Right, str]]) -> Iterator[Finding]:
    where = f" in namespace {namespace}" if namespace != seen.namespace else ""
    for right, name in rights:
        for resource in right.resources:
            missing = [
                verb for verb in right.verbs if not _may(seen, part, namespace, right.group, resource, verb, name)
            ]
            if missing:
                what = f"{', '.join(missing)} {resource}{f'.{right.group}' if right.group else ''}{where}"
                yield _lacks(part, what, right)


def _lacks(part: Object, what: str, right: Right) -> Finding:
    how = "set rbac.scaledObjects: true" if right is OF_SCALED_OBJECTS else "set rbac.create: true"
    return problem(
        f"the control plane {name_of(part)} may not {what}",
        right.why,
        f"{how} in the platform's values, or grant it as charts/platform/files/roles.yaml says",
    )


def _may(seen: Seen, part: Object, namespace: str, group: str, resource: str, verb: str, name: str) -> bool:
    plain, _, below = resource.partition("/")
    attributes = {"namespace": namespace, "group": group, "resource": plain, "verb": verb, "name": name}
    path = _OF_NAMESPACE.format(namespace=namespace)
    needed = f"create localsubjectaccessreviews in namespace {namespace}"
    return _allowed(seen, part, path, needed, {**attributes, "subresource": below}, "LocalSubjectAccessReview")


def _allowed(seen: Seen, part: Object, path: str, needed: str, attributes: Object, kind: str) -> bool:
    account = pod_spec(part).get("serviceAccountName", "default")
    namespace = seen.namespace
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"namespace": attributes["namespace"]} if kind.startswith("Local") else {},
        "spec": {
            "resourceAttributes": attributes,
            "user": f"system:serviceaccount:{namespace}:{account}",
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
        },
    }
    return bool((seen.ask("POST", path, needed, body).get("status") or {}).get("allowed"))


def token_reviews(seen: Seen) -> Iterator[Finding]:
    """The right to check tokens of gateways, in the whole cluster, where the chart asks for it."""
    for part in of_component(seen.deployments, labels.COMPONENT_CONTROL_PLANE):
        if variables(part).get("FAIRLEAD_CHECK_GATEWAY_TOKENS") != "true":
            continue
        attributes = {"group": "authentication.k8s.io", "resource": "tokenreviews", "verb": "create"}
        needed = "create subjectaccessreviews in the whole cluster"
        if not _allowed(seen, part, _OF_CLUSTER, needed, attributes, "SubjectAccessReview"):
            yield problem(
                f"the control plane {name_of(part)} may not create tokenreviews",
                "it cannot tell a gateway from another pod, so new gateways get no table and do not start",
                "set rbac.create: true or controlPlane.checkGatewayTokens: false in the platform's values, or grant it",
            )


CHECKS = (
    Check("the control plane may do what it must in the namespace", control_plane_may),
    Check("the control plane may do what it must in the further namespaces that it serves", further_namespaces),
    Check("the control plane may check the tokens of gateways", token_reviews),
)
