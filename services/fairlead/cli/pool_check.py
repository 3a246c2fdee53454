"""Where the pods of a model run, and why others wait for a node, through the Kubernetes API with the user's own rights.

It needs `list` on nodes and pods of the whole cluster. Without the right to the pods of other namespaces it does not
know what is free; without the right to Deployments, not why pods cannot be created.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from fairlead import errors
from fairlead.cli.cluster import open_store
from fairlead.contracts import labels
from fairlead.placement.claims import explain_claims
from fairlead.placement.explain import Cause, Verdict, explain
from fairlead.placement.nodes import Offer, nodes_of, offers
from fairlead.placement.wishes import wishes_of
from fairlead.store.kubernetes.kinds import (
    CLAIM_TEMPLATES,
    CLAIMS,
    DEPLOYMENTS,
    DEVICE_CLASSES,
    NODES,
    PODS,
    Kind,
    Object,
    label,
    name_of,
)
from fairlead.store.kubernetes.pods import why_no_pods

_PAGE = 500
_NOT_ENDED = "status.phase!=Succeeded,status.phase!=Failed"
RIGHTS = "ask for the ClusterRole of docs/gpu-pools.md, which may list nodes and pods"


class ClusterApi(Protocol):
    """The part of the API client that is used here."""

    def list_whole(  # noqa: D102
        self, kind: Kind, namespace: str, selector: str = "", *, fields: str = "", page: int = 50
    ) -> Iterator[Object]: ...


@dataclass(frozen=True)
class Place:
    """A pod, or the pods of a version that cannot be created (`pod` is empty). `why` is empty if it has a node."""

    version: str
    pod: str
    node: str
    cause: str
    why: str
    advice: str

    def to_json(self) -> dict[str, str]:
        """For `--json`."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Found:
    """Where the pods of a model are, and what the nodes offer to those that wait."""

    places: tuple[Place, ...]
    offers: tuple[Offer, ...]

    @property
    def waiting(self) -> list[Place]:
        """The pods without a node."""
        return [one for one in self.places if one.why]


def look(context: str | None, namespace: str | None, model: str) -> Found:
    """The pods of a model and the nodes. Raises NotFound for an unknown model, Refused without the rights."""
    store = open_store(context, namespace)
    store.route(model)
    return found_by(store.api, store.namespace, model)


def told(api: ClusterApi, namespace: str, model: str) -> list[str]:
    """A sentence for each reason why pods of a model wait for a node; none without the rights to know."""
    try:
        waiting = found_by(api, namespace, model).waiting
    except (errors.NotFound, errors.Refused):
        return []
    reasons = dict.fromkeys((one.version, one.why, one.advice) for one in waiting)
    return [f"{model} {version} waits for a node: {why}; {advice}" for version, why, advice in reasons]


def found_by(api: ClusterApi, namespace: str, model: str) -> Found:
    """As `look`, with this API. Raises NotFound if the model has no pods and nothing says why."""
    selector = f"{labels.MODEL}={model}"
    pods = [one for one in api.list_whole(PODS, namespace, selector, fields=_NOT_ENDED) if not _ends(one)]
    places = list(_without_pods(api, namespace, selector))
    if not pods and not places:
        raise errors.NotFound(
            f"{model} has no pods in namespace {namespace}",
            hint=f"see what it waits for: fairlead status {model} --namespace {namespace}",
        )
    waiting = [one for one in pods if not one["spec"].get("nodeName")]
    if not waiting:
        return Found((*places, *map(_placed, pods)), ())
    nodes = nodes_of(_nodes(api), _pods_on_nodes(api))
    for pod in pods:
        if pod not in waiting:
            places.append(_placed(pod))
            continue
        verdict = explain(wishes_of(pod["spec"]), nodes)
        if verdict.cause is Cause.FITS:
            verdict = _about_claims(api, namespace, pod) or verdict
        said = _scheduler(pod)
        why = f"{verdict.why}{f'; the scheduler says: {said}' if verdict.fits and said else ''}"
        places.append(Place(label(pod, labels.VERSION), name_of(pod), "", verdict.cause, why, verdict.advice))
    # The pods of a model usually ask for the same; the table is for the first one that waits.
    return Found(tuple(places), offers(wishes_of(waiting[0]["spec"]), nodes))


def _placed(pod: Object) -> Place:
    return Place(label(pod, labels.VERSION), name_of(pod), str(pod["spec"]["nodeName"]), "", "", "")


def _ends(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _without_pods(api: ClusterApi, namespace: str, selector: str) -> Iterator[Place]:
    """The versions whose pods cannot be created: a quota, a policy or a webhook refuses them."""
    try:
        for one in api.list_whole(DEPLOYMENTS, namespace, selector):
            if why := why_no_pods(one):
                advice = "raise the ResourceQuota of the namespace, or ask for less, if the message names a quota"
                yield Place(label(one, labels.VERSION), "", "", "notCreated", why, advice)
    except errors.Refused:
        return


def _about_claims(api: ClusterApi, namespace: str, pod: Object) -> Verdict | None:
    """Why a claim keeps a pod waiting. None if it has none, or if the user may not list claims."""
    if not pod["spec"].get("resourceClaims"):
        return None
    try:
        claims = {name_of(one): one for one in api.list_whole(CLAIMS, namespace)}
        templates = {name_of(one): one for one in api.list_whole(CLAIM_TEMPLATES, namespace)}
    except errors.Refused:
        return None
    try:
        classes = [name_of(one) for one in api.list_whole(DEVICE_CLASSES, "")]
    except errors.Refused:
        classes = None
    return explain_claims(pod, claims, templates, classes)


def _nodes(api: ClusterApi) -> list[Object]:
    try:
        return list(api.list_whole(NODES, "", page=_PAGE))
    except errors.Refused as refused:
        raise errors.Refused(f"you may not list the nodes of this cluster: {refused.message}", hint=RIGHTS) from refused


def _pods_on_nodes(api: ClusterApi) -> list[Object] | None:
    try:
        return list(api.list_whole(PODS, "", fields=f"spec.nodeName!=,{_NOT_ENDED}", page=_PAGE))
    except errors.Refused:
        return None


def _scheduler(pod: Object) -> str:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return next((str(one.get("message") or "") for one in conditions if one.get("type") == "PodScheduled"), "")
