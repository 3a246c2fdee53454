"""Whether quotas and limit ranges of the namespace let a version have one more pod, which every rollout needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from fairlead.cli.doctor.finding import Check, Finding, problem, warning
from fairlead.cli.doctor.kinds import LIMIT_RANGES, QUOTAS
from fairlead.cli.doctor.seen import Seen, pod_spec, title
from fairlead.placement.quantities import quantity, shown
from fairlead.placement.wishes import requests_of
from fairlead.store.kubernetes.kinds import Object, name_of
from fairlead.store.kubernetes.pods import why_no_pods

_ALSO_BARE = ("cpu", "memory", "ephemeral-storage")
"""A quota may name the requests of these without `requests.`."""


def used_by(spec: Object) -> dict[str, Decimal]:
    """What a pod uses of a quota, by the quota's names."""
    requests, limits = requests_of(spec), requests_of(_with(spec, ("limits",)))
    used = {f"requests.{name}": amount for name, amount in requests.items()}
    used |= {name: requests[name] for name in _ALSO_BARE if name in requests}
    used |= {f"limits.{name}": amount for name, amount in limits.items()}
    return {**used, "pods": Decimal(1), "count/pods": Decimal(1)}


def _with(spec: Object, kept: tuple[str, ...]) -> Object:
    """The spec with only these of the resources of its containers."""
    copy = {name: value for name, value in spec.items() if name != "overhead"}
    for kind in ("containers", "initContainers"):
        copy[kind] = [
            {**one, "resources": {name: (one.get("resources") or {}).get(name) for name in kept}}
            for one in spec.get(kind) or ()
        ]
    return copy


def quotas(seen: Seen) -> Iterator[Finding]:
    """A quota that has no room for the next pod of a version; one line for each quota."""
    filled_in = _filled_in(seen)
    for quota in seen.list(QUOTAS):
        for one in seen.versions:
            spec = pod_spec(one)
            if why_no_pods(one) or not _counts(quota, spec):
                continue
            if why := _no_room(quota, used_by(spec), filled_in):
                yield warning(
                    f"the ResourceQuota {name_of(quota)} refuses the next pod of {title(one)}: {why}",
                    "a release needs a pod of each version at the same time, and so does an update of one",
                    f"raise it: kubectl edit resourcequota {name_of(quota)} --namespace {seen.namespace}",
                )
                break


def _no_room(quota: Object, asked: Mapping[str, Decimal], filled_in: frozenset[str]) -> str:
    status = quota.get("status") or {}
    used = status.get("used") or {}
    for name, most in (status.get("hard") or quota["spec"].get("hard") or {}).items():
        if name in asked:
            left = quantity(most) - quantity(used.get(name, 0))
            if asked[name] > left:
                what = name.removeprefix("requests.").removeprefix("limits.")
                return f"{name}: it needs {shown(what, asked[name])}, and {shown(what, max(left, Decimal(0)))} is left"
        elif name.startswith(("limits.", "requests.")) or name in _ALSO_BARE:
            what = name.removeprefix("requests.").removeprefix("limits.")
            if what in _ALSO_BARE and name not in filled_in:
                return f"the quota is on {name}, and the pod says none"
    return ""


def _counts(quota: Object, spec: Object) -> bool:
    """Whether the quota counts pods of this spec. One with scopes that are not known here counts none."""
    wanted = [{"scopeName": name, "operator": "Exists"} for name in quota["spec"].get("scopes") or ()]
    wanted += (quota["spec"].get("scopeSelector") or {}).get("matchExpressions") or ()
    return all(_in_scope(one, spec) for one in wanted)


def _in_scope(scope: Mapping[str, Any], spec: Object) -> bool:
    name = spec.get("priorityClassName")
    match scope["scopeName"], scope.get("operator"):
        case "NotTerminating", _:
            return True
        case "NotBestEffort", _:
            return len(requests_of(spec)) > 1
        case "PriorityClass", "In":
            return name in scope["values"]
        case "PriorityClass", "NotIn":
            return name not in scope["values"]
        case "PriorityClass", "Exists":
            return bool(name)
        case "PriorityClass", "DoesNotExist":
            return not name
    return False


def _filled_in(seen: Seen) -> frozenset[str]:
    """What limit ranges give to containers that do not say it, by the names of a quota."""
    found: set[str] = set()
    for each in seen.list(LIMIT_RANGES):
        for one in each["spec"].get("limits") or ():
            if one.get("type") == "Container":
                given = {*(one.get("default") or ()), *(one.get("max") or ())}
                found |= {f"limits.{name}" for name in given}
                for name in {*given, *(one.get("defaultRequest") or ())}:
                    found |= {name, f"requests.{name}"}
    return frozenset(found)


def limit_ranges(seen: Seen) -> Iterator[Finding]:
    """A limit range that refuses a pod of a version; one line for each."""
    for limit_range in seen.list(LIMIT_RANGES):
        for one in seen.versions:
            why = "" if why_no_pods(one) else _outside(limit_range, pod_spec(one))
            if why:
                yield problem(
                    f"the LimitRange {name_of(limit_range)} refuses the next pod of {title(one)}: {why}",
                    "pods that run stay, and no new one is created: not by a release, an update or a restart",
                    "change workload.resources, or the LimitRange",
                )
                break


def _outside(limit_range: Object, spec: Object) -> str:
    for limit in limit_range["spec"].get("limits") or ():
        for name, asked in _measured(str(limit.get("type")), spec):
            for key, most in (limit.get("max") or {}).items():
                if asked["limits"].get(key, 0) > quantity(most):
                    has = shown(key, asked["limits"][key])
                    return f"{name} may have {shown(key, quantity(most))}, and its limit is {has}"
            for key, least in (limit.get("min") or {}).items():
                if asked["requests"].get(key, quantity(least)) < quantity(least):
                    has = shown(key, asked["requests"][key])
                    return f"{name} must ask for {shown(key, quantity(least))}, and asks for {has}"
    return ""


def _measured(kind: str, spec: Object) -> Iterator[tuple[str, dict[str, dict[str, Decimal]]]]:
    """The name of what a limit of this type is about, with its requests and limits."""
    parts = [("a pod", spec)] if kind == "Pod" else []
    if kind == "Container":
        every = (*(spec.get("initContainers") or ()), *spec["containers"])
        parts = [(f"its container {one['name']}", {"containers": [one]}) for one in every]
    for name, part in parts:
        yield name, {"limits": requests_of(_with(part, ("limits",))), "requests": requests_of(part)}


CHECKS = (
    Check("quotas have room for one more pod of each version", quotas),
    Check("limit ranges allow the pods of each version", limit_ranges),
)
