"""The least number of replicas for each version, for an autoscaler. Fairlead never writes a replica count itself.

An autoscaler sees only the present load. It does not know a candidate's next weight, nor that a rollback may give the
previous version all requests at once. This module adds that as a lower bound beside the autoscaler's own metrics.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Phase, Revision
from fairlead.contracts.route import TOTAL_WEIGHT, Route, VersionRef
from fairlead.rollout.policy.desired_instances import within_rollback_window
from fairlead.rollout.policy.settings import strategy_in_force
from fairlead.rollout.policy.steps import next_weight, percent


@dataclass(frozen=True, slots=True)
class Replicas:
    """The least number of replicas, and why. `count` 0 leaves the number to the autoscaler."""

    ref: VersionRef
    count: int
    reason: str


def replicas(route: Route, head: Revision | None, instances: Iterable[Instance], now: datetime) -> list[Replicas]:
    """One entry for every version that the spec lists or that the route may send requests to, by version."""
    counted = _counted(route, instances)
    found = {one.ref: one for one in _roles(route, head, counted, now)} if head is not None else {}
    for version, spec in route.spec.versions.items():
        ref = spec.ref(version)
        if ref not in found:
            first = head is None and ref == route.spec.target_ref
            reason = "the first version" if first else "only requests that name it reach it"
            found[ref] = Replicas(ref, spec.instances if first else 0, reason)
    return sorted(found.values(), key=lambda one: (one.ref.version, one.ref.identity))


def _roles(route: Route, head: Revision, counted: dict[VersionRef, int], now: datetime) -> list[Replicas]:
    """Entries for candidate, previous and stable. Stable's replicas, ready or not, measure the whole present load."""
    stable = head.table.stable
    whole = max(1, counted.get(stable, 0))
    if head.state.phase is not Phase.STABLE:
        strategy = strategy_in_force(route, head)
        weight, shadow = max(head.table.weight, next_weight(strategy.steps, head.table.weight)), strategy.shadow
        if shadow is not None and head.state.phase is not Phase.CANARY:
            weight = max(weight, shadow.share)  # mirrored requests are as much work as users' requests
        share = max(1, ceil(weight * whole / TOTAL_WEIGHT))
        return [
            Replicas(stable, whole, "stable keeps what all requests need until the candidate is promoted"),
            Replicas(head.state.target, share, f"the candidate's next share is {percent(weight)}"),
        ]
    spec = route.spec.versions.get(stable.version)
    found = [Replicas(stable, spec.instances if spec else 1, "at rest")]
    previous = head.state.previous
    if previous is not None and within_rollback_window(route, head, now):
        found.append(Replicas(previous, whole, "a rollback would give it all requests at once"))
    return found


def _counted(route: Route, instances: Iterable[Instance]) -> dict[VersionRef, int]:
    found: dict[VersionRef, int] = {}
    for one in instances:
        if (one.namespace, one.model) == (route.namespace, route.spec.model):
            found[one.ref] = found.get(one.ref, 0) + 1
    return found
