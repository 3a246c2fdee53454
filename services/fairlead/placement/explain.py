"""Why no node gets a pod, as one sentence: the first rule that rules out every node that the rules before it allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from fairlead.placement.nodes import Node
from fairlead.placement.quantities import shown
from fairlead.placement.wishes import Requirement, Wishes

_NONE = "no node with the right labels and taints"
_MOST_NAMES = 3
_MOST_VALUES = 6


class Cause(StrEnum):
    """The kind of reason."""

    HELD = "held"
    NO_NODES = "noNodes"
    LABELS = "labels"
    TAINTS = "taints"
    MISSING = "missing"
    TOO_SMALL = "tooSmall"
    NOT_FREE = "notFree"
    CLAIM = "claim"
    FITS = "fits"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why the pod waits: one sentence without a full stop, what helps, and the nodes that fit."""

    cause: Cause
    why: str
    advice: str
    fits: tuple[str, ...] = ()


def explain(wishes: Wishes, nodes: Sequence[Node]) -> Verdict:
    """Why a pod with these wishes is on none of the nodes."""
    if wishes.gates:
        return _verdict(Cause.HELD, f"it is held back by its scheduling gates: {', '.join(wishes.gates)}")
    if not nodes:
        return _verdict(Cause.NO_NODES, "the cluster has no nodes")
    labelled = [one for one in nodes if _alternative(wishes, one)]
    if not labelled:
        return _verdict(Cause.LABELS, _about_labels(wishes, nodes))
    open_to_it = [one for one in labelled if all(map(wishes.tolerates, one.taints))]
    if not open_to_it:
        return _verdict(Cause.TAINTS, _about_taints(wishes, labelled))
    return _about_resources(wishes, open_to_it)


def _alternative(wishes: Wishes, node: Node) -> bool:
    return any(all(one.allows(node.labels) for one in each) for each in wishes.alternatives)


# labels


def _about_labels(wishes: Wishes, nodes: Sequence[Node]) -> str:
    if not wishes.alternatives:
        return "no node has the right labels: its affinity has only empty alternatives, and those match no node"

    def distance(requirements: Sequence[Requirement]) -> int:
        return min(sum(not one.allows(node.labels) for one in requirements) for node in nodes)

    closest = min(wishes.alternatives, key=distance)
    others = "" if len(wishes.alternatives) == 1 else f" (the closest of its {len(wishes.alternatives)} alternatives)"
    return _about_requirements(closest, nodes) + others


def _about_requirements(requirements: Sequence[Requirement], nodes: Sequence[Node]) -> str:
    for one in requirements:
        if not any(one.allows(node.labels) for node in nodes):
            return f"no node has {one}; {_values(one.key, nodes)}"
    left = nodes
    before: list[Requirement] = []
    for one in requirements:
        allowed = [node for node in left if one.allows(node.labels)]
        if not allowed:
            return f"no node with {' and '.join(map(str, before))} has {one}; {_values(one.key, left)}"
        if len(allowed) < len(left):
            before.append(one)
        left = allowed
    raise AssertionError("a node meets all requirements")


def _values(key: str, nodes: Sequence[Node]) -> str:
    values = Counter(node.labels[key] for node in nodes if key in node.labels)
    if not values:
        return "none of these nodes has that label"
    listed = ", ".join(f"{value} ({count})" for value, count in values.most_common(_MOST_VALUES))
    more = len(values) - _MOST_VALUES
    return f"these nodes have {listed}{f' and {more} more' if more > 0 else ''}"


# taints


def _about_taints(wishes: Wishes, nodes: Sequence[Node]) -> str:
    counts = Counter(str(taint) for node in nodes for taint in node.taints if not wishes.tolerates(taint))
    listed = ", ".join(f"{taint} ({count})" for taint, count in counts.most_common())
    return f"every node with the right labels has a taint that it does not tolerate: {listed}"


# resources


def _about_resources(wishes: Wishes, nodes: Sequence[Node]) -> Verdict:
    # Devices first: a pod that finds no GPU should not read about CPUs.
    asked = sorted(wishes.resources, key=lambda name: ("/" not in name, name))
    left = nodes
    for name in asked:
        amount, largest = wishes.resources[name], max(_has(node, name) for node in left)
        if not largest:
            return _verdict(Cause.MISSING, f"{_NONE} has {name}; {_devices(left)}")
        large = [node for node in left if _has(node, name) >= amount]
        if not large:
            why = f"it asks for {shown(name, amount)}, and {_NONE} has more than {shown(name, largest)}"
            return _verdict(Cause.TOO_SMALL, why)
        left = large
    known = [node for node in left if node.free is not None]
    if len(known) < len(left):
        return _fits(left, "; what is free on them is not known")
    for name in asked:
        amount = wishes.resources[name]
        free = [node for node in left if _free(node, name) >= amount]
        if not free:
            best = max(left, key=lambda node: _free(node, name))
            most = shown(name, max(_free(best, name), Decimal(0)))
            why = f"it asks for {shown(name, amount)}, and {_NONE} has so much free: the most is {most}, on {best.name}"
            return _verdict(Cause.NOT_FREE, why)
        left = free
    return _fits(left, "")


def _fits(nodes: Sequence[Node], more: str) -> Verdict:
    named = ", ".join(one.name for one in nodes[:_MOST_NAMES])
    rest = len(nodes) - _MOST_NAMES
    listed = f"{named}{f' and {rest} more' if rest > 0 else ''}"
    why = f"labels, taints and resources allow {listed}{more}"
    return Verdict(Cause.FITS, why, _ADVICE[Cause.FITS], tuple(one.name for one in nodes))


def _has(node: Node, name: str) -> Decimal:
    return node.resources.get(name, Decimal(0))


def _free(node: Node, name: str) -> Decimal:
    return (node.free or {}).get(name, Decimal(0))


def _devices(nodes: Iterable[Node]) -> str:
    found = sorted({name for node in nodes for name, amount in node.resources.items() if "/" in name and amount > 0})
    return f"these nodes have {', '.join(found)}" if found else "these nodes have no devices"


# words

_ADVICE: dict[Cause, str] = {
    Cause.HELD: "their owners, such as a queue for jobs, remove the gates",
    Cause.NO_NODES: "add a node pool",
    Cause.LABELS: "compare workload.gpu and workload.nodeSelector with the labels of the nodes, or add such nodes",
    Cause.TAINTS: "add a toleration (workload.tolerations) if the pods should run there, or uncordon the nodes",
    Cause.MISSING: "check that the device plugin runs on these nodes, and that the resource has this name there",
    Cause.TOO_SMALL: "ask for less, or add larger nodes",
    Cause.NOT_FREE: "wait for an autoscaler, add nodes, or stop something else; a higher PriorityClass takes its place",
    Cause.FITS: "if it stays so for a minute, read the scheduler's own words: kubectl describe pod",
}


def _verdict(cause: Cause, why: str) -> Verdict:
    return Verdict(cause, why, _ADVICE[cause])
