"""Autoscalers: whether what should scale a version is there and works."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from fairlead.cli.doctor.finding import Check, Finding, problem, warning
from fairlead.cli.doctor.kinds import AUTOSCALERS, SCALED_OBJECTS
from fairlead.cli.doctor.seen import OURS, Seen, condition, moment, title
from fairlead.contracts import labels
from fairlead.store.kubernetes.kinds import Object, label, name_of

_KEDA = "keda.sh"
_PAUSED = "autoscaling.keda.sh/paused"
"""`paused` and `paused-replicas`, which also says how many pods there are meanwhile."""
_GRACE = timedelta(seconds=60)
"""KEDA has looked at a new ScaledObject within this time."""


def keda(seen: Seen) -> Iterator[Finding]:
    """KEDA and its objects, for versions that it should scale."""
    asked = [one for one in seen.versions if label(one, labels.SCALED_BY) == labels.SCALED_BY_KEDA]
    if asked and _KEDA not in seen.groups:
        yield problem(
            f"KEDA is not installed, and it should scale {', '.join(sorted(map(title, asked)))}",
            "the number of pods stays as it is, whatever the load",
            "install KEDA, then upgrade the models' releases; or set workload.autoscaling.kind: managed",
        )
        return
    objects = seen.list(SCALED_OBJECTS)
    scaled = {(one["spec"].get("scaleTargetRef") or {}).get("name") for one in objects}
    for one in asked:
        if name_of(one) not in scaled:
            yield problem(
                f"{title(one)} has no ScaledObject, and KEDA should scale it",
                "the number of its pods stays as it is, whatever the load",
                "upgrade the model's release: the chart renders it only where KEDA is installed",
            )
    for one in objects:
        if label(one, labels.MODEL):
            yield from _of_scaled_object(seen, one)


def _of_scaled_object(seen: Seen, one: Object) -> Iterator[Finding]:
    name, see = f"the ScaledObject of {title(one)}", f"kubectl describe scaledobject {name_of(one)}"
    see += f" --namespace {seen.namespace}"
    stays = "the number of pods stays as it is, whatever the load"
    ready = condition(one, "Ready")
    if condition(one, "Paused").get("status") == "True" or _asks_for_a_pause(one):
        yield warning(f"{name} is paused", stays, "remove its annotations autoscaling.keda.sh/paused*")
    elif ready.get("status") == "False":
        yield problem(f"{name} does not work: {ready.get('message') or ready.get('reason')}", stays, see)
    elif condition(one, "Fallback").get("status") == "True":
        yield warning(
            f"{name} uses its fallback",
            "a trigger cannot be read, so it follows no load and only keeps the pods of `fallback`",
            f"check the Prometheus that its triggers name: {see}",
        )
    elif not ready and seen.server_time - moment(one["metadata"]["creationTimestamp"]) > _GRACE:
        yield problem(f"no KEDA operator has looked at {name}", stays, "start KEDA's operator, or install KEDA again")


def _asks_for_a_pause(one: Object) -> bool:
    annotations = one["metadata"].get("annotations") or {}
    return any(name.startswith(_PAUSED) and value != "false" for name, value in annotations.items())


def autoscalers(seen: Seen) -> Iterator[Finding]:
    """HorizontalPodAutoscalers, for versions and gateways."""
    found = seen.list(AUTOSCALERS)
    scaled = {(one["spec"].get("scaleTargetRef") or {}).get("name") for one in found}
    for one in seen.versions:
        if label(one, labels.SCALED_BY) == labels.SCALED_BY_HPA and name_of(one) not in scaled:
            yield problem(
                f"{title(one)} has no HorizontalPodAutoscaler, and one should scale it",
                "the number of its pods stays as it is, whatever the load",
                "upgrade the model's release",
            )
    ours = {name_of(one): one for one in seen.list(AUTOSCALERS, OURS)}
    for one in ours.values():
        able, active = condition(one, "AbleToScale"), condition(one, "ScalingActive")
        failed = next((each for each in (able, active) if each.get("status") == "False"), None)
        if failed and failed.get("reason") != "ScalingDisabled":  # with 0 pods it is off, and that is meant
            yield problem(
                f"the HorizontalPodAutoscaler {name_of(one)} does not scale: {failed.get('message')}",
                "the number of pods does not follow the load",
                f"kubectl describe hpa {name_of(one)} --namespace {seen.namespace}",
            )


CHECKS = (
    Check("KEDA scales what it should scale", keda),
    Check("HorizontalPodAutoscalers scale what they should scale", autoscalers),
)
