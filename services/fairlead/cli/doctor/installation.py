"""The cluster itself: its version, our kinds and our admission policies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from fairlead import errors
from fairlead.cli.doctor.finding import Check, Finding, problem, warning
from fairlead.cli.doctor.kinds import BINDINGS, POLICIES
from fairlead.cli.doctor.seen import OURS, Seen
from fairlead.contracts import labels
from fairlead.store.kubernetes.kinds import name_of
from fairlead.store.kubernetes.schema.definitions import definitions

OLDEST = (1, 31)
"""The oldest Kubernetes that the charts install on."""
_CRDS = "helm upgrade --install fairlead-crds charts/crds --namespace default"
_GUARDS = {
    "fairlead-people": "anybody who may create an action may do so in another's name, and change approvals and gates",
    "fairlead-fencing": "a leader that was frozen may write one more revision",
    "fairlead-lease": "whoever may write Leases can stop every control plane of the namespace",
    "fairlead-control-plane": "the control plane's account can run any pod in its namespace, and so read its Secrets",
}
"""What each policy of charts/crds prevents."""
_NAMED_AT_MOST = 3


def kubernetes_version(seen: Seen) -> Iterator[Finding]:
    """The API server's version."""
    found = seen.ask("GET", "/version", "get on the non-resource URL /version")
    numbers = re.match(r"v(\d+)\.(\d+)", str(found.get("gitVersion", "")))
    if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST:
        yield problem(
            f"the cluster has Kubernetes {numbers[1]}.{numbers[2]}",
            f"the charts and the policies need {OLDEST[0]}.{OLDEST[1]} or newer",
            "upgrade the cluster",
        )


def kinds(seen: Seen) -> Iterator[Finding]:
    """Our kinds, by the schema that the API server publishes to every user."""
    path = f"/openapi/v3/apis/{labels.API_VERSION}"
    try:
        published = seen.ask("GET", path, f"get on the non-resource URL {path}")
    except errors.NotFound:
        published = {}
    known = {
        gvk["kind"]: schema
        for schema in (published.get("components") or {}).get("schemas", {}).values()
        for gvk in schema.get("x-kubernetes-group-version-kind") or ()
    }
    ours = {one["spec"]["names"]["kind"]: one["spec"]["versions"][0]["schema"] for one in definitions()}
    if missing := [kind for kind in ours if kind not in known]:
        yield problem(
            f"the cluster has no kind {' and no '.join(missing)}",
            "the control plane waits for them, and no model can be installed",
            f"install them: {_CRDS}",
        )
        return
    unknown = [
        f"{kind}{path}" for kind, schema in ours.items() for path in _unknown(schema["openAPIV3Schema"], known[kind])
    ]
    if unknown:
        more = len(unknown) - _NAMED_AT_MOST
        listed = ", ".join(unknown[:_NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
        yield problem(
            f"the kinds of the cluster are older than this Fairlead: they have no {listed}",
            "the API server drops fields that it does not know, so settings have no effect and no message says so",
            f"upgrade them before the platform: {_CRDS}",
        )


def _unknown(ours: Mapping[str, Any], theirs: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """The paths of our fields that their schema does not have."""
    known = theirs.get("properties") or {}
    for name, schema in (ours.get("properties") or {}).items():
        if name in known:
            yield from _unknown(schema, known[name], f"{path}.{name}")
        elif not theirs.get("x-kubernetes-preserve-unknown-fields"):
            yield f"{path}.{name}"
    for below in ("items", "additionalProperties"):
        if isinstance(inner := ours.get(below), dict) and isinstance(other := theirs.get(below), dict):
            yield from _unknown(inner, other, f"{path}[]")


def admission(seen: Seen) -> Iterator[Finding]:
    """Our policies, each with a binding that denies."""
    there = {name_of(one) for one in seen.everywhere(POLICIES, OURS)}
    bindings = {one["spec"].get("policyName"): one for one in seen.everywhere(BINDINGS)}
    for name, why in _GUARDS.items():
        if name not in there:
            yield warning(f"the admission policy {name} is missing", why, f"install it: {_CRDS}")
        elif name not in bindings:
            yield problem(f"the admission policy {name} has no binding, so nothing is checked", why, _CRDS)
        elif "Deny" not in (bindings[name]["spec"].get("validationActions") or ()):
            do = f"set validationActions of the ValidatingAdmissionPolicyBinding {name_of(bindings[name])} to [Deny]"
            yield problem(f"the admission policy {name} is bound without Deny, so it refuses nothing", why, do)


CHECKS = (
    Check("the cluster's Kubernetes is new enough", kubernetes_version),
    Check("the kinds of Fairlead are there and of this release", kinds),
    Check("the admission policies are there and bound", admission),
)
