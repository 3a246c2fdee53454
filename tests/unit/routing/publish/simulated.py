"""Gateways that read what was written whenever they like, and a publisher that may forget everything but its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from fairlead.routing.publish.phases import Action, GatewayReport, Rejection, State, Publish, hear, plan, renewed, wish, wrote
from fairlead.routing.publish.resource_sets import KINDS, ResourceSet, DesiredResources, Kind, Update
from fairlead.routing.references import needed
from fairlead.routing.snapshot import Resource

POISON = "poison"
DRAIN_S = 5.0


def is_poisoned(content: ResourceSet) -> bool:
    return any("x" in resource for resource in content.resources.values())


@dataclass
class Gateway:
    """Reads writings kind by kind, each in order, in any interleaving; refuses poison and keeps what it had."""

    name: str = "edge-1"
    reachable: bool = True
    unread: dict[Kind, list[Update]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    used: dict[Kind, Update] = field(default_factory=dict)
    refused: dict[Kind, Rejection] = field(default_factory=dict)

    def read(self, kind: Kind) -> None:
        """One writing. A gateway that has no clusters yet takes no routes: Envoy starts in this order."""
        if not self.unread[kind] or (kind != "cds" and "cds" not in self.used):
            return
        written = self.unread[kind].pop(0)
        if is_poisoned(written.content):
            self.refused[kind] = Rejection(written.version, "it is poisoned")
            return
        self.used[kind] = written
        self.refused.pop(kind, None)
        self.assert_nothing_dangles()

    def skip(self, kind: Kind) -> None:
        """One that asks sees only what is newest then."""
        self.unread[kind] = self.unread[kind][-1:]

    def restart(self, files: Mapping[Kind, Update]) -> None:
        """Knows nothing any more, and finds the files as they are now."""
        self.used, self.refused = {}, {}
        self.unread = {kind: [files[kind]] if kind in files else [] for kind in KINDS}

    def assert_nothing_dangles(self) -> None:
        if "rds" not in self.used:
            return
        clusters: Mapping[str, Resource] = self.used["cds"].content.resources
        missing = needed(self.used["rds"].content.resources.values(), clusters) - clusters.keys()
        assert not missing, f"{self.name} routes to {missing}, which it does not have"

    def says(self) -> GatewayReport:
        versions = {kind: written.version for kind, written in self.used.items()}
        return GatewayReport(self.name, self.reachable, versions if self.reachable else {}, dict(self.refused))


@dataclass
class Publisher:
    """The planner with what a publisher keeps on disk: the files, the last good ones, and what was refused."""

    gateways: list[Gateway]
    state: State = field(default_factory=State)
    now: float = 0.0
    writes: list[Publish] = field(default_factory=list)

    def want(self, desired: DesiredResources) -> None:
        self.state = wish(self.state, desired)

    def hear(self) -> None:
        self.state = hear(self.state, [gateway.says() for gateway in self.gateways], self.now)

    def advance(self, desired: DesiredResources) -> Action:
        """Writes whatever may be written now, without hearing anything in between."""
        for _ in range(12):
            action = plan(self.state, desired, self.now, drain_s=DRAIN_S)
            if not isinstance(action, Publish):
                return action
            self.write(action)
        raise AssertionError("the planner does not come to rest")

    def write(self, action: Publish) -> None:
        content = action.written.content
        assert (action.kind, content.digest) not in self.state.refused, "sent again what was refused"
        before = self.state.published.get(action.kind)
        assert before is None or action.written.order > before.order, "a version does not follow the one before"
        self.state = wrote(self.state, action)
        self.writes.append(action)
        for gateway in self.gateways:
            gateway.unread[action.kind].append(action.written)

    def crash(self) -> None:
        """Keeps what is on disk: the good files of kinds that were acknowledged are the published ones."""
        old = self.state
        sequence = max((one.order.sequence for one in (*old.published.values(), *old.good.values())), default=0)
        good = {kind: one for kind, one in old.good.items() if one.version != old.published[kind].version}
        self.state = replace(State(sequence=sequence), published=old.published, good=good, refused=old.refused)

    def take_over(self) -> None:
        """A publisher that leads from now on: knows what was kept at the last writing, and asks everybody first."""
        old = self.state
        orders = [one.order.sequence for one in (*old.published.values(), *old.good.values())]
        good = {kind: one for kind, one in old.good.items() if kind not in old.acknowledged}
        self.state = replace(
            State(sequence=max(orders, default=0)), published=old.published, good=good, refused=old.refused
        )
        self.hear()
        for write in renewed(self.state):
            self.write(write)
