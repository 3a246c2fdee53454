"""A platform in a cluster, as its user: through the Kubernetes API, with their kubeconfig and their rights.

Loaded only when a cluster is meant: a folder's commands pay nothing for it.
"""

from __future__ import annotations

import os
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.contracts.action import Action, ActionType, Outcome
from fairlead.contracts.route import Route
from fairlead.store.kubernetes import KubernetesStore, access, kubeconfig
from fairlead.store.kubernetes.api import Api

LIFETIME = timedelta(minutes=10)
ANSWER_WITHIN_S = 10.0
_LOOK_S = 0.05
_REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


def open_store(context: str | None, namespace: str | None) -> KubernetesStore:
    """The store of a namespace: of a kubeconfig's context, or of the cluster this runs in where there is none."""
    config = Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
    in_a_pod = "KUBERNETES_SERVICE_HOST" in os.environ and not context and not config.exists()
    found = access.in_cluster() if in_a_pod else kubeconfig.load(context)
    return KubernetesStore.direct(Api(found), namespace or found.namespace)


def user_name(store: KubernetesStore) -> str:
    """Who we are to the API server: the only actor that it lets us be."""
    answer = store.api.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=dict(_REVIEW))
    return str(answer.get("status", {}).get("userInfo", {}).get("username", ""))


def ask(
    context: str | None, namespace: str | None, model: str, verb: str, *, reason: str, to_revision: int | None
) -> dict[str, Any]:
    """Create the action and wait for the engine's answer, which is the action as it is then."""
    store = open_store(context, namespace)
    kind = ActionType(verb)
    store.route(model)
    # An approval is for the attempt and the step of now: it never approves the next one.
    head = store.head(model) if kind is ActionType.APPROVE else None
    now = datetime.now(UTC)
    action = store.create_action(
        Action(
            namespace=store.namespace,
            name=f"{model}-{verb}-{uuid.uuid4().hex[:10]}",
            route=model,
            type=kind,
            attempt=head.state.attempt if head else None,
            step=head.state.step if head else None,
            to_revision=to_revision,
            actor=user_name(store),
            reason=reason,
            created_at=now,
            expires_at=now + LIFETIME,
        )
    )
    deadline = time.monotonic() + ANSWER_WITHIN_S
    while action.outcome is Outcome.PENDING and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
        action = store.action(action.name)
    return action.to_json()


def insist_on_ours(store: KubernetesStore, route: Route, version: str) -> None:
    """Raises Refused when somebody else keeps the route's spec: what we wrote would be undone, or be a drift."""
    keeper = store.manager(route.name)
    if not keeper:
        return
    release, name, namespace = store.release_of(route.name), route.name, store.namespace
    lines = [f"-target: {route.spec.target.version}", f"+target: {version}"]
    if keeper == "Helm" and release:
        values = f"helm upgrade {release} charts/model --namespace {namespace} --reuse-values --set target={version}"
        raise errors.Refused(
            f"{name} is kept by Helm: release it there, or the next upgrade undoes it",
            hint="\n  ".join(("change its values, and upgrade:", *lines, values)),
        )
    raise errors.Refused(
        f"{name} is kept by {keeper}: release it in git, or it is undone",
        hint="\n  ".join(("change its values:", *lines)),
    )
