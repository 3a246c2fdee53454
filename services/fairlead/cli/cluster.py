"""Commands for a platform in a cluster: they use the Kubernetes API with the user's kubeconfig and rights.

Imported only when a command addresses a cluster, so that commands for a state folder start fast.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

from fairlead import errors
from fairlead.contracts import labels
from fairlead.contracts.acceptance import acceptance_text
from fairlead.contracts.action import Action, ActionType, Outcome
from fairlead.contracts.bound_action import bound
from fairlead.contracts.earlier_versions import names_to_return_to, revision_named
from fairlead.contracts.instance import Instance
from fairlead.contracts.parsing import parse
from fairlead.contracts.quota_use import QuotaUse
from fairlead.contracts.route import Route
from fairlead.control.kept_quotas import read_entry
from fairlead.store.kubernetes import KubernetesStore, access, kubeconfig
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import LEADERS, LEASES, label, name_of

ACTION_LIFETIME = timedelta(minutes=10)
RESPONSE_TIMEOUT_S = 10.0
HOW_TO_ADD = "a line below `versions` in the model's Helm values or its ModelRoute, then an upgrade or a sync"
_POLL_INTERVAL_S = 0.05
_REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


def open_store(context: str | None, namespace: str | None) -> KubernetesStore:
    """Open the store of a namespace. Uses the kubeconfig, or in a pod without one the pod's service account."""
    found = _access(context)
    return KubernetesStore.direct(Api(found), namespace or found.namespace)


def _access(context: str | None) -> access.Access:
    config = Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
    in_a_pod = "KUBERNETES_SERVICE_HOST" in os.environ and not context and not config.exists()
    return access.in_cluster() if in_a_pod else kubeconfig.load(context)


def quota_use(context: str | None, namespace: str | None) -> QuotaUse:
    """What clients of the platform that serves a namespace have used of their quotas.

    Raises Refused without the right to read its ConfigMap, and Unavailable if no platform serves the namespace.
    """
    store = open_store(context, namespace)
    platform = served_by(store)
    if platform is None:
        problem, hint = not_served(store.namespace)
        raise errors.Unavailable(problem, hint=hint)
    name = f"{platform.release}-quotas"
    try:
        found = store.api.request("GET", f"/api/v1/namespaces/{platform.namespace}/configmaps/{name}")
    except errors.NotFound:
        return QuotaUse()
    except errors.Refused as refused:
        raise errors.Refused(
            f"you may not read what clients have used, the ConfigMap {name} in namespace {platform.namespace}",
            hint="the roles of the platform's chart there allow it: who installs it lists people in its value `roles`",
        ) from refused
    return read_entry(found)


@dataclass(frozen=True)
class ServedBy:
    """The platform that serves a namespace: where it is installed, and as which release."""

    namespace: str
    release: str


def served_by(store: KubernetesStore) -> ServedBy | None:
    """By the Leases of the store's namespace; None if there is none.

    Raises Refused without the right to list Leases.
    """
    leases, _ = store.api.list(LEASES, store.namespace, LEADERS)
    further = [one for one in leases if label(one, labels.PLATFORM)]
    for one in (*further, *leases):
        release = label(one, labels.INSTANCE) or name_of(one).removesuffix(f"-{labels.COMPONENT_CONTROL_PLANE}")
        return ServedBy(label(one, labels.PLATFORM) or store.namespace, release)
    return None


def not_served(namespace: str) -> tuple[str, str]:
    """What is said of a namespace without a Lease, and what to do."""
    return (
        f"no platform serves namespace {namespace}: no control plane has a Lease there, so nobody follows its routes",
        "install the platform's chart there, or list the namespace in `namespaces` of the platform that should serve "
        f"it; `fairlead doctor --namespace {namespace}` says what is there",
    )


def platform_of(store: KubernetesStore) -> str:
    """The namespace of the platform that serves the store's; its own, unless the Lease of another one is there."""
    try:
        found = served_by(store)
    except errors.FairleadError:
        return store.namespace
    return found.namespace if found is not None else store.namespace


def is_served(store: KubernetesStore) -> bool:
    """Whether a control plane has a Lease in the store's namespace; true also where that cannot be read."""
    try:
        return served_by(store) is not None
    except errors.FairleadError:
        return True


def platform_namespace(context: str | None, namespace: str | None) -> str | None:
    """The same for a namespace that the user named; what they named if the cluster cannot be asked."""
    try:
        return platform_of(open_store(context, namespace))
    except errors.FairleadError:
        return namespace


def user_name(store: KubernetesStore) -> str:
    """Our user name at the API server. It accepts no other actor from us."""
    review = store.api.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=dict(_REVIEW))
    return str(review.get("status", {}).get("userInfo", {}).get("username", ""))


def ask(
    context: str | None, namespace: str | None, model: str, verb: str, *, reason: str, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Create the action, wait for the engine, and answer as the action socket does; it may still be pending."""
    store = open_store(context, namespace)
    kind, route = ActionType(verb), store.route(model)
    head = store.head(model)
    now, more = datetime.now(UTC), dict(options)
    if isinstance(to := more.get("toRevision"), str | int):
        more["toRevision"] = revision_named(to, route, lambda: store.revisions(model))
    # For what was seen now only: it must not end, or raise, a later attempt.
    seen = {} if head is None else bound(verb, head.state.attempt, head.state.step, head.generation, route.generation)
    action = store.create_action(
        parse(
            Action,
            {
                "namespace": store.namespace,
                "name": f"{model}-{verb}-{uuid.uuid4().hex[:10]}",
                "route": model,
                "type": kind,
                **seen,
                "actor": user_name(store),
                "reason": reason,
                "createdAt": now,
                "expiresAt": now + ACTION_LIFETIME,
                **more,
            },
            f"{verb} of {model}",
        )
    )
    deadline = time.monotonic() + RESPONSE_TIMEOUT_S
    while action.outcome is Outcome.PENDING and time.monotonic() < deadline:
        time.sleep(_POLL_INTERVAL_S)
        action = store.action(action.name)
    refused = kind is ActionType.ROLLBACK and action.outcome is Outcome.REFUSED
    versions = names_to_return_to(route, store.revisions(model), instances_if_allowed(store)) if refused else []
    return {"action": action.to_json(), "versions": versions}


def instances_if_allowed(store: KubernetesStore) -> list[Instance]:
    """The instances; none for a user who may not list pods, as the roles of the chart: they only tell more."""
    try:
        return store.instances()
    except errors.Refused:
        return []


def refuse_if_managed(store: KubernetesStore, route: Route, version: str, accept_breaking: bool = False) -> None:
    """Raises Refused when another tool manages the route's spec: it would undo our change or report it as drift."""
    if manager := store.manager(route.name):
        release = store.release_of(route.name)
        head = store.head(route.name) if accept_breaking else None
        accept = acceptance_text(version, head.id if head is not None else "") if accept_breaking else ""
        raise managed_elsewhere(route, version, manager, release, store.namespace, accept=accept)


def managed_elsewhere(
    route: Route, version: str, manager: str, release: str | None, namespace: str, *, accept: str = ""
) -> errors.Refused:
    """The refusal of a release that `manager` would undo, with the lines and the command that release it.

    Versions are quoted, because YAML reads many as numbers. The command takes the whole values file: with
    `--reuse-values` Helm would keep the defaults of the old chart, and with `--set` the next upgrade without it would
    release the old version again. `accept` is what accepts breaking types (`contracts.acceptance`).
    """
    lines = (f'-target: "{route.spec.target.version}"', f'+target: "{version}"')
    if accept:
        lines = (*(lines if version != route.spec.target.version else ()), f'+acceptBreaking: "{accept}"')
    if manager == "Helm" and release:
        upgrade = f"helm upgrade {release} charts/model --namespace {namespace} --values YOUR-VALUES.yaml"
        return errors.Refused(
            f"{route.name} is managed by Helm: the next upgrade would undo this release",
            hint="\n  ".join(("change the line in your values file, then upgrade with the file:", *lines, upgrade)),
        )
    return errors.Refused(
        f"{route.name} is managed by {manager}: its next sync would undo this release",
        hint="\n  ".join(("change the line in the values file in git:", *lines)),
    )


def refuse_removal(context: str | None, namespace: str | None, model: str) -> NoReturn:
    """Raises Refused with the command that removes a model in a cluster: its objects belong to who created them."""
    store = open_store(context, namespace)
    route = store.route(model)
    manager, release = store.manager(route.name), store.release_of(route.name)
    where = f"--namespace {store.namespace}" + (f" --kube-context {context}" if context else "")
    if manager == "Helm" and release:
        how = f"helm uninstall {release} {where}"
    elif manager and manager != "Helm":
        how = f"remove it in git; {manager} then deletes its objects"
    else:
        how = f"kubectl delete modelroute {route.name} {where.replace('--kube-context', '--context')}"
    raise errors.Refused(
        f"in a cluster {model} is removed with the tool that manages it",
        hint=f"{how}\n  this deletes its ledger too: keep the output of `fairlead history {model} --json` before",
    )
