"""Puts random fleets of GPU nodes and pods of the model chart into a real cluster, and judges what the scheduler did.

Nodes are simulated; API server and scheduler are Kubernetes' own. Each fleet has nodes of one cloud and a node without
GPUs; its pods select it by a label, because all fleets are in one cluster.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fairlead import errors
from fairlead.placement.explain import Cause, explain
from fairlead.placement.nodes import nodes_of
from fairlead.placement.wishes import wishes_of
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import NODES, PODS
from support.cluster.fake_nodes import fake_node
from support.gpu_fleets import CLOUDS, Request, allowed, machines, node, requests, suits, suits_by_labels
from support.helm import Object, pod_of, render

FLEET = "test.fairlead.dev/fleet"
PODS_PER_FLEET = 6
DECIDED_WITHIN_S = 60.0
TRIED_AGAIN_WITHIN_S = 60.0
_DIGEST = "sha256:" + "0" * 64


@dataclass
class Judged:
    """What came of the pods. `wrong` has a sentence for each that is where it must not be, or not where it could be."""

    nodes: int = 0
    placed: int = 0
    waiting: dict[str, int] = field(default_factory=dict)
    """By the cause that `explain` gives."""
    wrong: list[str] = field(default_factory=list)


def pods_of(wanted: Sequence[Request], namespace: str) -> list[Object]:
    """The pod specs that the chart renders for these requests."""
    versions = {
        f"1.{n}.0": {"image": {"digest": _DIGEST}, "overrides": {"gpu": one.values()}} for n, one in enumerate(wanted)
    }
    values = {"model": "iris", "target": "1.0.0", "versions": versions}
    found = render("model", values, namespace=namespace).of("Deployment")
    by_version = {one["metadata"]["labels"]["fairlead.dev/version"]: pod_of(one) for one in found}
    return [by_version[version] for version in versions]


def play(api: Api, namespace: str, seeds: Sequence[int]) -> Judged:
    """One fleet for each seed; its cloud is drawn in turn. The nodes are deleted afterwards, the pods with them."""
    fleets = [_Fleet(api, namespace, seed) for seed in seeds]
    try:
        for one in fleets:
            one.create()
        _wait(api, namespace, sum(len(one.wanted) for one in fleets))
        # A pod that the scheduler saw before its node is unschedulable at first, and tried again after some seconds.
        deadline = time.monotonic() + TRIED_AGAIN_WITHIN_S
        while (judged := _judged(api, namespace, fleets)).wrong and time.monotonic() < deadline:
            time.sleep(1)
        return judged
    finally:
        for one in fleets:
            one.delete()


def _judged(api: Api, namespace: str, fleets: Sequence[_Fleet]) -> Judged:
    judged, pods = Judged(), list(api.list_whole(PODS, namespace))
    for one in fleets:
        one.judge(pods, judged)
    return judged


class _Fleet:
    """One fleet and its pods."""

    def __init__(self, api: Api, namespace: str, seed: int) -> None:
        self.api, self.namespace, self.name = api, namespace, f"f{seed}"
        draw = random.Random(f"fleet {seed}")
        cloud = list(CLOUDS)[seed % len(CLOUDS)]
        self.machines = {f"{self.name}-n{i}": one for i, one in enumerate(machines(draw, cloud, draw.randint(3, 7)))}
        self.wanted = {
            f"{self.name}-p{i}": one
            for i, one in enumerate(requests(draw, cloud, list(self.machines.values()), PODS_PER_FLEET))
        }
        self.plain = f"{self.name}-cpu"

    def create(self) -> None:
        """Create the nodes, then the pods."""
        here = {FLEET: self.name}
        nodes = [node(one, name, here) for name, one in self.machines.items()]
        for one in (*nodes, fake_node(self.plain, labels=here, tainted=False)):
            self.api.create(NODES, "", one)
        for name, spec in zip(self.wanted, pods_of(list(self.wanted.values()), self.namespace), strict=True):
            spec["nodeSelector"] = {**spec.get("nodeSelector", {}), **here}
            labels = {"fairlead.dev/model": "iris", **here}
            self.api.create(PODS, self.namespace, {"metadata": {"name": name, "labels": labels}, "spec": spec})

    def judge(self, pods: Sequence[Object], judged: Judged) -> None:
        """Compare where the pods are with what the machines are, and the sentences with both."""
        judged.nodes += len(self.machines) + 1
        mine = {one["metadata"]["name"]: one for one in pods if one["metadata"]["name"] in self.wanted}
        nodes = nodes_of([one for one in self.api.list_whole(NODES, "", f"{FLEET}={self.name}")], list(mine.values()))
        for name, request in self.wanted.items():
            pod, may = mine[name], {key for key, one in self.machines.items() if allowed(request, one)}
            where = pod["spec"].get("nodeName")
            if where:
                judged.placed += 1
                if where not in may:
                    judged.wrong.append(f"{name} asks for {request} and is on {where}: {self.machines.get(where)}")
                continue
            found = explain(wishes_of(pod["spec"]), nodes)
            judged.waiting[found.cause] = judged.waiting.get(found.cause, 0) + 1
            if found.cause not in (expected := self._causes(request)):
                judged.wrong.append(f"{name} asks for {request} and waits; not {sorted(expected)}, but: {found.why}")

    def _causes(self, request: Request) -> set[Cause]:
        """Why such a pod may wait, by what the machines are."""
        machines = list(self.machines.values())
        if any(allowed(request, one) for one in machines):
            return {Cause.NOT_FREE}
        if any(suits(request, one) for one in machines):
            working = any(suits(request, one) and not one.broken for one in machines)
            return {Cause.TOO_SMALL if working else Cause.MISSING}
        # Where no label says what a node has, the node without GPUs and those with other slices lack the resource.
        unlabelled = {Cause.MISSING} if request.cloud in ("aks", "eks-managed", "gfd-mig-mixed") else set()
        return {Cause.TAINTS if any(suits_by_labels(request, one) for one in machines) else Cause.LABELS} | unlabelled

    def delete(self) -> None:
        """Delete the pods and the nodes."""
        for kind, namespace, names in (
            (PODS, self.namespace, self.wanted),
            (NODES, "", {**self.machines, self.plain: 0}),
        ):
            for name in names:
                try:
                    self.api.delete(kind, namespace, name)
                except errors.NotFound:
                    continue


def _wait(api: Api, namespace: str, count: int) -> None:
    """Until the scheduler has decided about so many pods: each has a node, or a condition that says that none fits."""
    deadline = time.monotonic() + DECIDED_WITHIN_S
    while time.monotonic() < deadline:
        decided = sum(1 for one in api.list_whole(PODS, namespace, page=500) if _decided(one))
        if decided >= count:
            return
        time.sleep(0.2)
    raise AssertionError(f"the scheduler decided about {decided} of {count} pods in {DECIDED_WITHIN_S:g} s")


def _decided(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return bool(pod["spec"].get("nodeName")) or any(
        one["type"] == "PodScheduled" and one.get("reason") == "Unschedulable" for one in conditions
    )
