"""What the nodes of a cluster are: labels, taints, and resources with what is free of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from fairlead.placement.quantities import quantity
from fairlead.placement.wishes import NAME, Object, Taint, Wishes, add, requests_of

UNSCHEDULABLE = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")
"""What a cordoned node has, also before a controller has written it."""
_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Node:
    """A node. `free` is None if the pods of the cluster are not known. Its name is among its labels, as NAME."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    resources: Mapping[str, Decimal]
    free: Mapping[str, Decimal] | None


@dataclass(frozen=True, slots=True)
class Offer:
    """What equal nodes offer to a pod: of the labels, only those that it asks about; of resources, only devices."""

    names: tuple[str, ...]
    labels: Mapping[str, str]
    taints: tuple[str, ...]
    """Those that the pod does not tolerate."""
    devices: Mapping[str, int]
    """Devices of all these nodes together."""
    free: Mapping[str, int] | None

    def to_json(self) -> dict[str, object]:
        """For `--json`."""
        free = None if self.free is None else dict(self.free)
        return {
            "nodes": list(self.names),
            "labels": dict(self.labels),
            "taints": list(self.taints),
            "devices": dict(self.devices),
            "free": free,
        }


def nodes_of(found: Iterable[Object], pods: Iterable[Object] | None) -> tuple[Node, ...]:
    """The nodes of the API server, with what the pods leave free; `pods` is None if they may not be listed."""
    taken: dict[str, dict[str, Decimal]] | None = None
    if pods is not None:
        taken = {}
        for pod in pods:
            name = pod["spec"].get("nodeName")
            if name and (pod.get("status") or {}).get("phase") not in _ENDED:
                add(taken.setdefault(name, {}), requests_of(pod["spec"]))
    return tuple(_node(one, taken) for one in found)


def _node(found: Object, taken: Mapping[str, Mapping[str, Decimal]] | None) -> Node:
    spec, name = found.get("spec") or {}, str(found["metadata"]["name"])
    taints = tuple(Taint(one["key"], one.get("value") or "", one["effect"]) for one in spec.get("taints") or ())
    if spec.get("unschedulable") and UNSCHEDULABLE.key not in {one.key for one in taints}:
        taints = (*taints, UNSCHEDULABLE)
    has = {one: quantity(amount) for one, amount in ((found.get("status") or {}).get("allocatable") or {}).items()}
    free = None
    if taken is not None:
        here = taken.get(name, {})
        free = {one: amount - here.get(one, Decimal(0)) for one, amount in has.items()}
    return Node(name, {**(found["metadata"].get("labels") or {}), NAME: name}, taints, has, free)


def offers(wishes: Wishes, nodes: Sequence[Node]) -> tuple[Offer, ...]:
    """What the nodes with devices offer; all nodes if none has devices. Those that differ in nothing shown are one."""
    groups: dict[str, list[Offer]] = {}
    for node in [one for one in nodes if _devices(one.resources)] or nodes:
        labels = {key: node.labels[key] for key in wishes.keys if key in node.labels}
        taints = tuple(sorted(str(one) for one in node.taints if not wishes.tolerates(one)))
        devices = _devices(node.resources)
        free = None if node.free is None else {name: max(0, int(node.free.get(name, 0))) for name in devices}
        offer = Offer((node.name,), labels, taints, devices, free)
        groups.setdefault(str((labels, taints, list(devices))), []).append(offer)
    return tuple(_together(group) for group in groups.values())


def _together(group: Sequence[Offer]) -> Offer:
    names = tuple(name for one in group for name in one.names)
    known = [one.free for one in group if one.free is not None]
    free = _total(known) if len(known) == len(group) else None
    return Offer(names, group[0].labels, group[0].taints, _total([one.devices for one in group]), free)


def _devices(resources: Mapping[str, Decimal]) -> dict[str, int]:
    """Extended resources, which have a domain in their name, of which the node has some."""
    return {name: int(amount) for name, amount in sorted(resources.items()) if "/" in name and amount > 0}


def _total(all_amounts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    return {
        name: sum(one.get(name, 0) for one in all_amounts) for name in sorted({n for one in all_amounts for n in one})
    }
