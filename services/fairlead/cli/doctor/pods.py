"""Pods: whether there are as many as there should be, and why not."""

from __future__ import annotations

from collections.abc import Iterator

from fairlead.cli.doctor.finding import Check, Finding, NotChecked, problem, warning
from fairlead.cli.doctor.kinds import PRIORITY_CLASSES, SERVICES
from fairlead.cli.doctor.seen import OURS, Seen, condition, phase, pod_spec, ready, title, wanted
from fairlead.contracts import labels
from fairlead.placement.claims import explain_claims
from fairlead.placement.explain import Cause, Verdict, explain
from fairlead.placement.nodes import nodes_of
from fairlead.placement.wishes import wishes_of
from fairlead.store.kubernetes.kinds import (
    CLAIM_TEMPLATES,
    CLAIMS,
    DEVICE_CLASSES,
    NODES,
    PODS,
    SLICES,
    Kind,
    Object,
    label,
    name_of,
)
from fairlead.store.kubernetes.pods import why_no_pods, why_unready

_SLICES = Kind(SLICES.path, SLICES.plural, SLICES.kind)
_SERVICE_OF_SLICE = "kubernetes.io/service-name"


def enough(seen: Seen) -> Iterator[Finding]:
    """Every Deployment of the namespace has its pods, ready."""
    for one in seen.deployments:
        if why := why_no_pods(one):
            do = (
                "raise the quota or ask for less, or create what the message names: the API server checks it again soon"
            )
            yield problem(f"{title(one)}: {why}", _matters(one), do)
        elif ready(one) < wanted(one) or (one.get("status") or {}).get("unavailableReplicas"):
            yield from _too_few(seen, one)


def _too_few(seen: Seen, deployment: Object) -> Iterator[Finding]:
    unready = [one for one in _pods_of(seen, deployment) if condition(one, "Ready").get("status") != "True"]
    unready.sort(key=lambda one: phase(one) != "Pending")
    why, do = _why(seen, unready[0]) if unready else ("its pods do not exist yet", "look again in a moment")
    more = "" if ready(deployment) < wanted(deployment) else ", and a new one is not"
    what = f"{title(deployment)}: {ready(deployment)} of {wanted(deployment)} pods are ready{more}: {why}"
    yield (warning if ready(deployment) else problem)(what, _matters(deployment), do)


def _why(seen: Seen, pod: Object) -> tuple[str, str]:
    """Why a pod is not ready, and what helps. Without the right to see nodes, in the scheduler's words."""
    if pod["spec"].get("nodeName") or condition(pod, "PodScheduled").get("status") != "False":
        return why_unready(pod), f"kubectl describe pod {name_of(pod)} --namespace {seen.namespace}"
    try:
        nodes = seen.everywhere(NODES)
    except NotChecked:
        return why_unready(pod), "ask somebody who may list nodes: fairlead check-pool MODEL says what they offer"
    try:
        taken = [one for one in seen.everywhere(PODS) if one["spec"].get("nodeName")]
    except NotChecked:
        taken = None
    verdict = explain(wishes_of(pod["spec"]), nodes_of(nodes, taken))
    if verdict.cause is Cause.FITS:
        verdict = _about_claims(seen, pod) or verdict
    return (why_unready(pod) if verdict.cause is Cause.FITS else verdict.why), verdict.advice


def _about_claims(seen: Seen, pod: Object) -> Verdict | None:
    if not pod["spec"].get("resourceClaims"):
        return None
    try:
        claims, templates = ({name_of(one): one for one in seen.list(kind)} for kind in (CLAIMS, CLAIM_TEMPLATES))
    except NotChecked:
        return None
    try:
        classes = [name_of(one) for one in seen.everywhere(DEVICE_CLASSES)]
    except NotChecked:
        classes = None
    return explain_claims(pod, claims, templates, classes)


def _pods_of(seen: Seen, deployment: Object) -> list[Object]:
    chosen = deployment["spec"]["selector"].get("matchLabels") or {}
    return [one for one in seen.pods if all(label(one, key) == value for key, value in chosen.items())]


def _matters(deployment: Object) -> str:
    part = label(deployment, labels.COMPONENT)
    if part == labels.COMPONENT_CONTROL_PLANE:
        return "without one nothing decides about rollouts, and new gateways do not start"
    return (
        "without one no request reaches a model"
        if part == labels.COMPONENT_GATEWAY
        else "it cannot take its load, and a release waits"
    )


def endpoints(seen: Seen) -> Iterator[Finding]:
    """A Service leads to the ready pods of the Deployment with its name."""
    deployments = {name_of(one): one for one in seen.deployments}
    slices = seen.list(_SLICES)
    for service in seen.list(SERVICES, OURS):
        name = name_of(service)
        if name not in deployments or not ready(deployments[name]) or not service["spec"].get("selector"):
            continue
        leads = any(
            (one.get("conditions") or {}).get("ready") is not False
            for each in slices
            if label(each, _SERVICE_OF_SLICE) == name
            for one in each.get("endpoints") or ()
        )
        if not leads:
            yield problem(
                f"the Service {name} has no ready endpoint, although the Deployment {name} has ready pods",
                "nobody reaches them through it",
                "compare its selector and targetPort with the labels and ports of the pods; the chart writes both",
            )


def priority_classes(seen: Seen) -> Iterator[Finding]:
    """The PriorityClasses that pods name. Pods that exist keep theirs, and the next one is refused."""
    named = {name: one for one in seen.deployments if (name := pod_spec(one).get("priorityClassName"))}
    if not named:
        return
    there = {name_of(one) for one in seen.everywhere(PRIORITY_CLASSES)}
    for name, one in named.items():
        if name not in there and not why_no_pods(one):
            ours = (
                "helm upgrade fairlead-crds charts/crds --set priorityClasses=true, or " if "fairlead-" in name else ""
            )
            yield problem(
                f"{title(one)} names the PriorityClass {name}, which does not exist",
                "the API server refuses its next pod",
                f"{ours}create it, or change workload.priorityClassName",
            )


CHECKS = (
    Check("every Deployment has its pods, and they are ready", enough),
    Check("every Service leads to the ready pods of its Deployment", endpoints),
    Check("the PriorityClasses that pods name exist", priority_classes),
)
