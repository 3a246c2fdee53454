"""Plans the order of updates (make before break): a pure function of published, reported and desired state.

A route may only name clusters that every gateway certainly has, and a cluster may only be removed when no gateway
routes to it: add clusters, wait, publish routes, wait, drain, remove clusters. The planner stores no current phase.
Each call computes the next action from the whole state, so a new desired snapshot can replace the old one at any
moment, and a crash loses nothing. Routes whose clusters are all there already (a weight falls) are published at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fairlead.routing.publish.resource_sets import (
    KINDS,
    DesiredResources,
    Kind,
    ResourceSet,
    Update,
    UpdateOrder,
    make_version,
)
from fairlead.routing.references import with_members

DRAIN_S = 10.0
"""How long clusters outlive the last route to them: a request that is retried looks up its cluster again."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """The version that a gateway rejected, and why."""

    version: str
    reason: str


@dataclass(frozen=True, slots=True)
class GatewayReport:
    """What one gateway last reported: the `versions` it uses, and how many clusters are `warming` (being set up)."""

    name: str
    reachable: bool
    versions: Mapping[Kind, str] = field(default_factory=dict)
    rejected: Mapping[Kind, Rejection] = field(default_factory=dict)
    warming: int = 0

    def acknowledges(self, kind: Kind, update: Update) -> bool:
        """Whether it uses this update; clusters count only when none is warming."""
        return self.versions.get(kind) == update.version and (kind != "cds" or self.warming == 0)


@dataclass(frozen=True, slots=True)
class PlanState:
    """All that planning depends on. The publisher keeps it, and rebuilds it from storage after a crash."""

    sequence: int = 0
    desired_digest: str = ""
    published: Mapping[Kind, Update] = field(default_factory=dict)
    good: Mapping[Kind, Update] = field(default_factory=dict)
    """What all gateways last acknowledged: restored when they reject something newer."""
    acknowledged: frozenset[Kind] = frozenset()
    routes_since: float | None = None
    """Since when every gateway uses the published routes."""
    guaranteed_clusters: Mapping[str, Mapping[str, str | None]] | None = None
    """By gateway: the clusters it has, whichever of the updates so far it has read. The value is their digest, or None
    where those updates differ. None before the first reports; empty when there is no gateway to wait for."""
    rejected: Mapping[tuple[Kind, str], Mapping[str, str]] = field(default_factory=dict)
    """Rejected content, by kind and digest: the reason of each gateway. It is never sent again, to any gateway."""


@dataclass(frozen=True, slots=True)
class Publish:
    """Publish this update to the gateways now."""

    kind: Kind
    update: Update


@dataclass(frozen=True, slots=True)
class Wait:
    """Publish nothing before the next reports or, with `until`, before that time on the publisher's clock."""

    reason: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """Every gateway serves exactly the desired resources."""


Action = Publish | Wait | Settled


def set_desired(state: PlanState, desired: DesiredResources) -> PlanState:
    """Different desired resources get the next sequence number; equal ones change nothing."""
    if desired.digest == state.desired_digest:
        return state
    return replace(state, desired_digest=desired.digest, sequence=state.sequence + 1)


def apply_reports(state: PlanState, reports: Sequence[GatewayReport], now: float) -> PlanState:
    """The state after these reports. An unreachable gateway keeps its guaranteed clusters and acknowledges nothing."""
    reachable = [gateway for gateway in reports if gateway.reachable]
    acknowledged = frozenset(
        kind
        for kind, update in state.published.items()
        if reachable and all(gateway.acknowledges(kind, update) for gateway in reachable)
    )
    since = state.routes_since
    if "rds" in acknowledged and since is None:
        since = now
    return replace(
        state,
        acknowledged=acknowledged,
        good={**state.good, **{kind: state.published[kind] for kind in acknowledged}},
        routes_since=since,
        guaranteed_clusters={gateway.name: _guaranteed(state, gateway) for gateway in reports},
        rejected=_with_rejections(state, reachable),
    )


def apply_publish(state: PlanState, action: Publish) -> PlanState:
    """The state after an update: not acknowledged yet, and only the clusters it leaves unchanged are guaranteed."""
    after = replace(
        state,
        published={**state.published, action.kind: action.update},
        acknowledged=state.acknowledged - {action.kind},
        sequence=max(state.sequence, action.update.order.sequence),
    )
    if action.kind == "rds":
        return replace(after, routes_since=None)
    if action.kind == "lds" or state.guaranteed_clusters is None:
        return after
    new = action.update.content.digests
    guaranteed = {
        gateway: {name: one if new[name] == one else None for name, one in clusters.items() if name in new}
        for gateway, clusters in state.guaranteed_clusters.items()
    }
    return replace(after, guaranteed_clusters=guaranteed)


def plan(state: PlanState, desired: DesiredResources, now: float, *, drain_s: float) -> Action:
    """The next action. Call it again after carrying it out, after new reports, and after a new desired snapshot."""
    return (
        _initial(state, desired)
        or _restore(state)
        or _listeners(state, desired)
        or _routes(state, desired)
        or _added_clusters(state, desired)
        or _finish(state, desired, now, drain_s)
    )


def republish_unacknowledged(state: PlanState) -> list[Publish]:
    """Publish unacknowledged content again under new versions: for a leader that takes over.

    A gateway reports a rejection only once, and the leader before may have ended before it read the report. The
    gateways acknowledge or reject the new versions.
    """
    return [
        _publish(state, kind, update.order.phase, update.content)
        for kind, update in state.published.items()
        if kind not in state.acknowledged and not _is_rejected(state, kind, update.content)
    ]


def rejection_reason(state: PlanState, desired: DesiredResources) -> str | None:
    """A gateway's reason for rejecting the desired resources; None when no gateway rejected any of them."""
    return next(iter(rejections(state, desired).values()), None)


def rejections(state: PlanState, desired: DesiredResources) -> Mapping[str, str]:
    """The gateways that rejected some of the desired resources, and why."""
    for kind in KINDS:
        contents = [desired.kinds[kind]]
        if kind in state.published:
            contents += [state.published[kind].content]
        if kind == "cds" and kind in state.published:
            contents += [state.published[kind].content.extended_by(desired.kinds[kind])]
        for content in contents:
            if reasons := state.rejected.get((kind, content.digest)):
                return {gateway: f"{kind}: {reason}" for gateway, reason in reasons.items()}
    return {}


def _guaranteed(state: PlanState, gateway: GatewayReport) -> Mapping[str, str | None]:
    before = (state.guaranteed_clusters or {}).get(gateway.name, {})
    if not gateway.reachable or "cds" not in state.published:
        return before
    if gateway.acknowledges("cds", state.published["cds"]):
        return dict(state.published["cds"].content.digests)
    # A gateway that has restarted and taken no clusters yet has none of those it had before.
    return before if gateway.versions.get("cds") else {}


def _with_rejections(
    state: PlanState, reachable: Sequence[GatewayReport]
) -> Mapping[tuple[Kind, str], Mapping[str, str]]:
    rejected = dict(state.rejected)
    for gateway in reachable:
        for kind, rejection in gateway.rejected.items():
            update = state.published.get(kind)
            if update is not None and rejection.version == update.version:
                key = (kind, update.content.digest)
                rejected[key] = {**rejected.get(key, {}), gateway.name: rejection.reason}
    return rejected


def _initial(state: PlanState, desired: DesiredResources) -> Publish | None:
    """Before the first publication everything is published without waiting: no gateway can have started without it."""
    if "rds" not in state.published and _differs(state, desired, "cds"):
        return _publish(state, "cds", "a", desired.kinds["cds"])
    missing = next((kind for kind in KINDS if kind not in state.published), None)
    return _publish(state, missing, "b", desired.kinds[missing]) if missing else None


def _restore(state: PlanState) -> Publish | None:
    """Rejected content must not stay published: a gateway that restarts would get nothing but that."""
    for kind, update in state.published.items():
        good = state.good.get(kind)
        if good is None or good.content.digest == update.content.digest:
            continue
        if _is_rejected(state, kind, update.content) and not _is_rejected(state, kind, good.content):
            return _publish(state, kind, "r", good.content)
    return None


def _listeners(state: PlanState, desired: DesiredResources) -> Publish | None:
    return _publish(state, "lds", "b", desired.kinds["lds"]) if _may_publish(state, desired, "lds") else None


def _routes(state: PlanState, desired: DesiredResources) -> Publish | None:
    if _may_publish(state, desired, "rds") and _clusters_present(state, desired):
        return _publish(state, "rds", "b", desired.kinds["rds"])
    return None


def _added_clusters(state: PlanState, desired: DesiredResources) -> Publish | None:
    published, wanted = state.published["cds"].content, desired.kinds["cds"]
    if _is_rejected(state, "cds", published):
        # Nothing was acknowledged, or it would be restored. So no gateway has taken clusters yet, or routes to them.
        union = wanted
    elif "cds" in state.good:
        union = published.extended_by(wanted)
    else:
        # Wait for a first acknowledgement: without it there is nothing to restore if the next update is rejected.
        return None
    if union.digest == published.digest or _is_rejected(state, "cds", union):
        return None
    return _publish(state, "cds", "a", union)


def _finish(state: PlanState, desired: DesiredResources, now: float, drain_s: float) -> Action:
    if reason := rejection_reason(state, desired):
        return Wait(f"rejected: {reason}")
    if _differs(state, desired, "rds"):
        return Wait("clusters to be acknowledged")
    if "rds" not in state.acknowledged or state.routes_since is None:
        return Wait("routes to be acknowledged")
    if late := [kind for kind in KINDS if kind not in state.acknowledged]:
        return Wait(f"{late[0]} to be acknowledged")
    if not _differs(state, desired, "cds"):
        return Settled()
    if now - state.routes_since < drain_s:
        return Wait("requests on the old routes to finish", until=state.routes_since + drain_s)
    return _publish(state, "cds", "c", desired.kinds["cds"])


def _clusters_present(state: PlanState, desired: DesiredResources) -> bool:
    """Whether every gateway certainly has each cluster that the desired routes need.

    A cluster with other content (its endpoints changed) is enough where the published routes use it in the same way:
    then the new routes send no request to staler endpoints than now. Published routes that hold their requests for a
    cluster do not use it.
    """
    published, wanted = state.published["cds"].content, desired.kinds["cds"]
    before, now = state.published["rds"].content, desired.kinds["rds"]
    direct_before, direct_now = before.named_clusters - (now.open_clusters - before.open_clusters), now.named_clusters
    below_before = with_members(direct_before, published.resources) - direct_before
    needed_now = with_members(direct_now, wanted.resources)
    used_alike = (direct_before & direct_now) | (below_before & (needed_now - direct_now))
    current = {name for name in needed_now if wanted.digests[name] == published.digests.get(name)}
    if state.guaranteed_clusters is None or not needed_now <= published.digests.keys():
        return False
    return all(
        name in clusters and (name in used_alike or (name in current and clusters[name] == wanted.digests[name]))
        for clusters in state.guaranteed_clusters.values()
        for name in needed_now
    )


def _differs(state: PlanState, desired: DesiredResources, kind: Kind) -> bool:
    update = state.published.get(kind)
    return update is None or update.content.digest != desired.kinds[kind].digest


def _may_publish(state: PlanState, desired: DesiredResources, kind: Kind) -> bool:
    return _differs(state, desired, kind) and not _is_rejected(state, kind, desired.kinds[kind])


def _is_rejected(state: PlanState, kind: Kind, content: ResourceSet) -> bool:
    return (kind, content.digest) in state.rejected


def _publish(state: PlanState, kind: Kind, phase: str, content: ResourceSet) -> Publish:
    before = state.published.get(kind)
    order = UpdateOrder(state.sequence, phase)
    if before is not None and order <= before.order:
        # Versions of one kind only ever rise: that is how a gateway never gets an older table.
        order = UpdateOrder(before.order.sequence + 1, phase)
    return Publish(kind, Update(make_version(order, content), content))
