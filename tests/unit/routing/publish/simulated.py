"""Simulated gateways that read updates at any time, and a publisher that may lose everything but its stored state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from fairlead.routing.publish.resource_sets import KINDS, DesiredResources, Kind, ResourceSet, Update
from fairlead.routing.publish.update_order import (
    Action,
    GatewayReport,
    PlanState,
    Publish,
    Rejection,
    apply_publish,
    apply_reports,
    plan,
    republish_unacknowledged,
    set_desired,
)
from fairlead.routing.references import needed
from fairlead.routing.snapshot import Resource

POISON = "poison"
DRAIN_S = 5.0


def is_poisoned(content: ResourceSet) -> bool:
    return any("x" in resource for resource in content.resources.values())


@dataclass
class Gateway:
    """Reads the updates of each kind in order, kinds interleaved in any way; rejects poison and keeps what it had."""

    name: str = "edge-1"
    reachable: bool = True
    unread: dict[Kind, list[Update]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    used: dict[Kind, Update] = field(default_factory=dict)
    rejected: dict[Kind, Rejection] = field(default_factory=dict)

    def read(self, kind: Kind) -> None:
        """Read one update. A gateway without clusters takes no routes yet: Envoy starts in this order."""
        if not self.unread[kind] or (kind != "cds" and "cds" not in self.used):
            return
        update = self.unread[kind].pop(0)
        if is_poisoned(update.content):
            self.rejected[kind] = Rejection(update.version, "it is poisoned")
            return
        self.used[kind] = update
        self.rejected.pop(kind, None)
        self.assert_nothing_dangles()

    def skip(self, kind: Kind) -> None:
        """A gateway that polls sees only the newest update."""
        self.unread[kind] = self.unread[kind][-1:]

    def restart(self, files: Mapping[Kind, Update]) -> None:
        """Lose all state, and find the files as they are now."""
        self.used, self.rejected = {}, {}
        self.unread = {kind: [files[kind]] if kind in files else [] for kind in KINDS}

    def assert_nothing_dangles(self) -> None:
        if "rds" not in self.used:
            return
        clusters: Mapping[str, Resource] = self.used["cds"].content.resources
        missing = needed(self.used["rds"].content.resources.values(), clusters) - clusters.keys()
        assert not missing, f"{self.name} routes to {missing}, which it does not have"

    def report(self) -> GatewayReport:
        versions = {kind: update.version for kind, update in self.used.items()}
        return GatewayReport(self.name, self.reachable, versions if self.reachable else {}, dict(self.rejected))


@dataclass
class Publisher:
    """The planner with a publisher's stored state: the files, the last good ones, and what was rejected."""

    gateways: list[Gateway]
    state: PlanState = field(default_factory=PlanState)
    now: float = 0.0
    published: list[Publish] = field(default_factory=list)

    def want(self, desired: DesiredResources) -> None:
        self.state = set_desired(self.state, desired)

    def poll(self) -> None:
        self.state = apply_reports(self.state, [gateway.report() for gateway in self.gateways], self.now)

    def advance(self, desired: DesiredResources) -> Action:
        """Publish all that may be published now, without polling in between."""
        for _ in range(12):
            action = plan(self.state, desired, self.now, drain_s=DRAIN_S)
            if not isinstance(action, Publish):
                return action
            self.publish(action)
        raise AssertionError("the planner does not stop publishing")

    def publish(self, action: Publish) -> None:
        content = action.update.content
        assert (action.kind, content.digest) not in self.state.rejected, "sent rejected content again"
        before = self.state.published.get(action.kind)
        assert before is None or action.update.order > before.order, "a version does not follow the one before"
        self.state = apply_publish(self.state, action)
        self.published.append(action)
        for gateway in self.gateways:
            gateway.unread[action.kind].append(action.update)

    def crash(self) -> None:
        """Keep only what is on disk. For acknowledged kinds the good files are the published ones."""
        old = self.state
        sequence = max((one.order.sequence for one in (*old.published.values(), *old.good.values())), default=0)
        good = {kind: one for kind, one in old.good.items() if one.version != old.published[kind].version}
        self.state = replace(PlanState(sequence=sequence), published=old.published, good=good, rejected=old.rejected)

    def take_over(self) -> None:
        """Start a new leader: it knows what was stored with the last update, and polls all gateways first."""
        old = self.state
        orders = [one.order.sequence for one in (*old.published.values(), *old.good.values())]
        good = {kind: one for kind, one in old.good.items() if kind not in old.acknowledged}
        self.state = replace(
            PlanState(sequence=max(orders, default=0)), published=old.published, good=good, rejected=old.rejected
        )
        self.poll()
        for action in republish_unacknowledged(self.state):
            self.publish(action)
