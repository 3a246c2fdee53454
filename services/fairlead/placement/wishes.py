"""What a pod asks of a node: labels, tolerated taints and resources, read from the pod's spec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fairlead.placement.quantities import quantity

Object = Mapping[str, Any]
NAME = "metadata.name"
"""The only field of a node that a requirement can name instead of a label."""


@dataclass(frozen=True, slots=True)
class Taint:
    """A taint of a node."""

    key: str
    value: str
    effect: str

    def __str__(self) -> str:
        return f"{self.key}{f'={self.value}' if self.value else ''}:{self.effect}"


@dataclass(frozen=True, slots=True)
class Requirement:
    """What one label of a node must be. An operator is one of Kubernetes: In, NotIn, Exists, DoesNotExist, Gt, Lt."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def allows(self, labels: Mapping[str, str]) -> bool:
        """Whether a node with these labels meets it."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value in self.values
            case "NotIn":
                return value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
            case "Gt" | "Lt":
                return self._compares(value)
        return False

    def _compares(self, value: str | None) -> bool:
        try:
            found, bound = int(value or ""), int(self.values[0])
        except (ValueError, IndexError):
            return False
        return found > bound if self.operator == "Gt" else found < bound

    def __str__(self) -> str:
        """For a sentence about nodes that must have it: "no node has ..."."""
        match self.operator:
            case "In" if len(self.values) == 1:
                return f"{self.key}={self.values[0]}"
            case "In":
                return f"{self.key} in ({', '.join(self.values)})"
            case "NotIn":
                return f"{self.key} not in ({', '.join(self.values)})"
            case "Exists":
                return f"the label {self.key}"
            case "DoesNotExist":
                return f"no label {self.key}"
        return f"{self.key} {'above' if self.operator == 'Gt' else 'below'} {''.join(self.values[:1])}"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a pod asks for. A node must meet all requirements of one alternative; without alternatives any node does."""

    alternatives: tuple[tuple[Requirement, ...], ...]
    tolerations: tuple[Object, ...]
    resources: Mapping[str, Decimal]
    gates: tuple[str, ...] = ()
    """Scheduling gates, which hold the pod back until their owners remove them."""

    def tolerates(self, taint: Taint) -> bool:
        """Whether the pod may run on a node in spite of this taint."""
        if taint.effect not in ("NoSchedule", "NoExecute"):
            return True
        return any(_tolerates(one, taint) for one in self.tolerations)

    @property
    def keys(self) -> tuple[str, ...]:
        """The labels that it asks about, in its order."""
        return tuple(dict.fromkeys(one.key for each in self.alternatives for one in each))


def wishes_of(spec: Object) -> Wishes:
    """The wishes of a pod with this spec, as the API server returns it."""
    selected = tuple(Requirement(key, "In", (value,)) for key, value in (spec.get("nodeSelector") or {}).items())
    node = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = node.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required:
        terms = [
            (*_requirements(one, "matchExpressions"), *_requirements(one, "matchFields"))
            for one in required.get("nodeSelectorTerms") or ()
        ]
        alternatives = tuple((*selected, *term) for term in terms if term)  # an empty term matches no node
    else:
        alternatives = (selected,)
    gates = tuple(str(one.get("name")) for one in spec.get("schedulingGates") or ())
    return Wishes(alternatives, tuple(spec.get("tolerations") or ()), requests_of(spec), gates)


def requests_of(spec: Object) -> dict[str, Decimal]:
    """The resources that a pod takes of its node, with one of `pods`.

    Containers run together and init containers one after the other; but one that restarts always runs on beside the
    others.
    """
    together: dict[str, Decimal] = {}
    beside: dict[str, Decimal] = {}
    first: dict[str, Decimal] = {}
    for one in spec.get("initContainers") or ():
        if one.get("restartPolicy") == "Always":
            add(beside, _asked(one))
            _raise(first, beside)
        else:
            _raise(first, _sum(beside, _asked(one)))
    for one in spec.get("containers") or ():
        add(together, _asked(one))
    add(together, beside)
    _raise(together, first)
    add(together, {name: quantity(amount) for name, amount in (spec.get("overhead") or {}).items()})
    return {name: amount for name, amount in together.items() if amount} | {"pods": Decimal(1)}


def _requirements(term: Object, kind: str) -> Iterable[Requirement]:
    for one in term.get(kind) or ():
        yield Requirement(str(one["key"]), str(one["operator"]), tuple(map(str, one.get("values") or ())))


def _tolerates(toleration: Object, taint: Taint) -> bool:
    key, effect = toleration.get("key") or "", toleration.get("effect") or ""
    if effect not in ("", taint.effect) or key not in ("", taint.key):
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(key) and (toleration.get("value") or "") == taint.value


def _asked(container: Object) -> dict[str, Decimal]:
    """Requests, and limits where there is no request: the API server fills them in for pods, not for templates."""
    resources = container.get("resources") or {}
    both = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: quantity(amount) for name, amount in both.items()}


def _sum(one: Mapping[str, Decimal], other: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {name: one.get(name, Decimal(0)) + other.get(name, Decimal(0)) for name in one.keys() | other.keys()}


def add(to: dict[str, Decimal], more: Mapping[str, Decimal]) -> None:
    """Add these amounts to those."""
    to.update(_sum(to, more))


def _raise(to: dict[str, Decimal], least: Mapping[str, Decimal]) -> None:
    for name, amount in least.items():
        to[name] = max(to.get(name, Decimal(0)), amount)
