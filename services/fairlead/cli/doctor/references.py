"""The Secrets, ConfigMaps and accounts that pods name: without one, a pod does not start.

The scheduler itself says which claim of a volume is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from fairlead.cli.doctor.finding import Check, Finding, problem
from fairlead.cli.doctor.kinds import ACCOUNTS, CONFIG_MAPS, SECRETS
from fairlead.cli.doctor.seen import Seen, pod_spec, title
from fairlead.store.kubernetes.kinds import Kind, Object, name_of
from fairlead.store.kubernetes.pods import why_no_pods

_IN_A_VARIABLE = {"Secret": "secretKeyRef", "ConfigMap": "configMapKeyRef"}
_IN_ENV_FROM = {"Secret": "secretRef", "ConfigMap": "configMapRef"}
_IN_A_VOLUME = {"Secret": ("secret", "secretName"), "ConfigMap": ("configMap", "name")}


def named(spec: Object, kind: str) -> set[str]:
    """The names of the objects of a kind without which pods of this spec do not start."""
    if kind == "ServiceAccount":
        return {str(name)} if (name := spec.get("serviceAccountName")) else set()
    return {str(one["name"]) for one in _references(spec, kind) if one.get("name") and not one.get("optional")}


def _references(spec: Object, kind: str) -> Iterator[Object]:
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        for one in container.get("env") or ():
            yield (one.get("valueFrom") or {}).get(_IN_A_VARIABLE[kind]) or {}
        for one in container.get("envFrom") or ():
            yield one.get(_IN_ENV_FROM[kind]) or {}
    field, name = _IN_A_VOLUME[kind]
    for volume in spec.get("volumes") or ():
        if one := volume.get(field):
            yield {**one, "name": one.get(name)}
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield source.get(field) or {}
    if kind == "Secret":
        yield from spec.get("imagePullSecrets") or ()


def _exist(kind: Kind) -> Callable[[Seen], Iterable[Finding]]:
    def check(seen: Seen) -> Iterator[Finding]:
        users: dict[str, str] = {}
        for one in seen.deployments:
            if not why_no_pods(one):  # then its message names what is missing
                users.update(dict.fromkeys(named(pod_spec(one), kind.kind), title(one)))
        there = {name_of(one) for one in seen.list(kind)} if users else set()
        for name in sorted(users.keys() - there):
            yield problem(
                f"the pods of {users[name]} name the {kind.kind} {name}, which does not exist in {seen.namespace}",
                "a new pod of it does not start",
                f"create it, or take it out of the values: kubectl get {kind.plural} --namespace {seen.namespace}",
            )

    return check


CHECKS = tuple(
    Check(f"the {plural} that pods name exist", _exist(kind))
    for kind, plural in (
        (SECRETS, "Secrets"),
        (CONFIG_MAPS, "ConfigMaps"),
        (ACCOUNTS, "ServiceAccounts"),
    )
)
