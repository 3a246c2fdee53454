"""How many replicas each version should have, for whoever scales them. We never write a replica count ourselves.

An autoscaler sees load that is there; it cannot know which share comes next, nor which version may get everything
back at once. This adds exactly that, as a lower bound beside its own signals.
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
from fairlead.rollout.policy.steps import next_weight, percent


@dataclass(frozen=True, slots=True)
class Replicas:
    """At least so many, and why. `count` 0 leaves it to whoever scales."""

    ref: VersionRef
    count: int
    reason: str


def replicas(route: Route, head: Revision | None, instances: Iterable[Instance], now: datetime) -> list[Replicas]:
    """One line for every version that the spec lists or the route may send requests to, by version."""
    counted = _counted(route, instances)
    found = {one.ref: one for one in _roles(route, head, counted, now)} if head is not None else {}
    for version, spec in route.spec.versions.items():
        ref = spec.ref(version)
        if ref not in found:
            first = head is None and ref == route.spec.wanted
            reason = "the first version" if first else "only requests that name it reach it"
            found[ref] = Replicas(ref, spec.instances if first else 0, reason)
    return sorted(found.values(), key=lambda one: (one.ref.version, one.ref.identity))


def _roles(route: Route, head: Revision, counted: dict[VersionRef, int], now: datetime) -> list[Replicas]:
    """Candidate, previous, stable. All of today's load is what stable's replicas carry, well or not at this moment."""
    stable = head.table.stable
    whole = max(1, counted.get(stable, 0))
    if head.state.phase is not Phase.STABLE:
        weight = max(head.table.weight, next_weight(route.spec.strategy.steps, head.table.weight))
        shadow = route.spec.strategy.shadow
        if shadow is not None and head.state.phase is not Phase.CANARY:
            weight = max(weight, shadow.share)  # copies are as much work as requests
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
