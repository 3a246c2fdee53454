"""Make before break, as a pure function of what is published, what each gateway said, and what is wanted now.

A route may only name clusters that a gateway certainly has, and a cluster may only go when no gateway routes to it:
add clusters, wait, routes, wait, drain, remove clusters. Nothing of this is remembered as "where we are": each call
looks at the whole state again, so a new wish replaces the old one at any moment, and a crash loses nothing. Routes
whose clusters are all there already, as when a weight falls, are written at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fairlead.routing.publish.resource_sets import KINDS, Content, Desired, Kind, Order, Written, make_version
from fairlead.routing.references import with_members


@dataclass(frozen=True, slots=True)
class Refusal:
    """A gateway's no to one written version."""

    version: str
    reason: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What one gateway last said. `versions` are those it uses, `warming` the clusters it is still setting up."""

    name: str
    reachable: bool
    versions: Mapping[Kind, str] = field(default_factory=dict)
    refused: Mapping[Kind, Refusal] = field(default_factory=dict)
    warming: int = 0

    def uses(self, kind: Kind, written: Written) -> bool:
        """Whether it acknowledged this writing; clusters count when they are set up."""
        return self.versions.get(kind) == written.version and (kind != "cds" or self.warming == 0)


@dataclass(frozen=True, slots=True)
class State:
    """Everything planning knows. The publisher keeps it, and rebuilds it from its files after a crash."""

    sequence: int = 0
    wish: str = ""
    published: Mapping[Kind, Written] = field(default_factory=dict)
    good: Mapping[Kind, Written] = field(default_factory=dict)
    """What all gateways last acknowledged: written back when something newer is refused."""
    acknowledged: frozenset[Kind] = frozenset()
    routes_since: float | None = None
    """Since when every gateway uses the published routes."""
    certain: Mapping[str, Mapping[str, str | None]] | None = None
    """By gateway: the clusters it has whichever of our writings it has read so far, with their digest, or None where
    the writings differ. None until anybody was listened to; empty when there is no gateway to wait for."""
    refused: Mapping[tuple[Kind, str], Mapping[str, str]] = field(default_factory=dict)
    """Content, by digest, that was refused, by whom and why: never sent again, to anybody."""


@dataclass(frozen=True, slots=True)
class Write:
    """Give gateways this content now."""

    kind: Kind
    written: Written


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to write before something is heard; with `until`, before that time on the publisher's clock."""

    reason: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """Every gateway serves what is wanted, and nothing else."""


Action = Write | Wait | Settled


def wish(state: State, desired: Desired) -> State:
    """A new wish gets the next sequence number; the same one again changes nothing."""
    if desired.digest == state.wish:
        return state
    return replace(state, wish=desired.digest, sequence=state.sequence + 1)


def hear(state: State, heard: Sequence[Heard], now: float) -> State:
    """Takes in what the gateways said. An unreachable one keeps what it certainly has, and acknowledges nothing."""
    reachable = [gateway for gateway in heard if gateway.reachable]
    acknowledged = frozenset(
        kind
        for kind, written in state.published.items()
        if reachable and all(gateway.uses(kind, written) for gateway in reachable)
    )
    since = state.routes_since
    if "rds" in acknowledged and since is None:
        since = now
    return replace(
        state,
        acknowledged=acknowledged,
        good={**state.good, **{kind: state.published[kind] for kind in acknowledged}},
        routes_since=since,
        certain={gateway.name: _certain(state, gateway) for gateway in heard},
        refused=_with_refusals(state, reachable),
    )


def wrote(state: State, write: Write) -> State:
    """The state after a writing: nobody has acknowledged it, and what is certain is what it leaves unchanged."""
    after = replace(
        state,
        published={**state.published, write.kind: write.written},
        acknowledged=state.acknowledged - {write.kind},
        sequence=max(state.sequence, write.written.order.sequence),
    )
    if write.kind == "rds":
        return replace(after, routes_since=None)
    if write.kind == "lds" or state.certain is None:
        return after
    new = write.written.content.digests
    certain = {
        gateway: {name: one if new[name] == one else None for name, one in clusters.items() if name in new}
        for gateway, clusters in state.certain.items()
    }
    return replace(after, certain=certain)


def plan(state: State, desired: Desired, now: float, *, drain_s: float) -> Action:
    """The next thing to do. Call again after doing it, after hearing something, and after any change of mind."""
    return (
        _first(state, desired)
        or _restore(state)
        or _listeners(state, desired)
        or _routes(state, desired)
        or _added_clusters(state, desired)
        or _finish(state, desired, now, drain_s)
    )


def renewed(state: State) -> list[Write]:
    """What is published and not acknowledged, under versions of its own: for a publisher that takes over.

    A refusal that the publisher before did not live to hear is not told a second time; a new writing is answered.
    """
    return [
        _write(state, kind, written.order.phase, written.content)
        for kind, written in state.published.items()
        if kind not in state.acknowledged and not _is_refused(state, kind, written.content)
    ]


def refusal(state: State, desired: Desired) -> str | None:
    """Why what is wanted cannot be served, in a gateway's words; None when nothing of it was refused."""
    return next(iter(refusals(state, desired).values()), None)


def refusals(state: State, desired: Desired) -> Mapping[str, str]:
    """Which gateways refused something of what is wanted, and why."""
    for kind in KINDS:
        contents = [desired.kinds[kind]]
        if kind in state.published:
            contents += [state.published[kind].content]
        if kind == "cds" and kind in state.published:
            contents += [state.published[kind].content.extended_by(desired.kinds[kind])]
        for content in contents:
            if said := state.refused.get((kind, content.digest)):
                return {gateway: f"{kind}: {reason}" for gateway, reason in said.items()}
    return {}


def _certain(state: State, gateway: Heard) -> Mapping[str, str | None]:
    before = (state.certain or {}).get(gateway.name, {})
    if not gateway.reachable or "cds" not in state.published:
        return before
    if gateway.uses("cds", state.published["cds"]):
        return dict(state.published["cds"].content.digests)
    # A gateway that has just started and taken no clusters yet has none of those it had before.
    return before if gateway.versions.get("cds") else {}


def _with_refusals(state: State, reachable: Sequence[Heard]) -> Mapping[tuple[Kind, str], Mapping[str, str]]:
    refused = dict(state.refused)
    for gateway in reachable:
        for kind, said in gateway.refused.items():
            written = state.published.get(kind)
            if written is not None and said.version == written.version:
                key = (kind, written.content.digest)
                refused[key] = {**refused.get(key, {}), gateway.name: said.reason}
    return refused


def _first(state: State, desired: Desired) -> Write | None:
    """Into an empty folder everything is written without waiting: no gateway can have started without it."""
    if "rds" not in state.published and _differs(state, desired, "cds"):
        return _write(state, "cds", "a", desired.kinds["cds"])
    missing = next((kind for kind in KINDS if kind not in state.published), None)
    return _write(state, missing, "b", desired.kinds[missing]) if missing else None


def _restore(state: State) -> Write | None:
    """What was refused must not stay published: a gateway that restarts would find nothing else."""
    for kind, written in state.published.items():
        good = state.good.get(kind)
        if good is None or good.content.digest == written.content.digest:
            continue
        if _is_refused(state, kind, written.content) and not _is_refused(state, kind, good.content):
            return _write(state, kind, "r", good.content)
    return None


def _listeners(state: State, desired: Desired) -> Write | None:
    return _write(state, "lds", "b", desired.kinds["lds"]) if _may_write(state, desired, "lds") else None


def _routes(state: State, desired: Desired) -> Write | None:
    if _may_write(state, desired, "rds") and _is_there(state, desired):
        return _write(state, "rds", "b", desired.kinds["rds"])
    return None


def _added_clusters(state: State, desired: Desired) -> Write | None:
    published, wanted = state.published["cds"].content, desired.kinds["cds"]
    if _is_refused(state, "cds", published):
        # Nothing good to go back to, so no gateway has taken clusters yet, or routes to them.
        union = wanted
    elif "cds" in state.good:
        union = published.extended_by(wanted)
    else:
        # Until something is known to be good there would be no way back from what comes next.
        return None
    if union.digest == published.digest or _is_refused(state, "cds", union):
        return None
    return _write(state, "cds", "a", union)


def _finish(state: State, desired: Desired, now: float, drain_s: float) -> Action:
    if reason := refusal(state, desired):
        return Wait(f"refused: {reason}")
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
    return _write(state, "cds", "c", desired.kinds["cds"])


def _is_there(state: State, desired: Desired) -> bool:
    """Whether every cluster that the wanted routes need is certainly on every gateway.

    One that is there with other content (its endpoints changed) is enough where the published routes use it in the
    same way: such a writing moves no request to anything staler than it has now.
    """
    published, wanted = state.published["cds"].content, desired.kinds["cds"]
    direct_before, direct_now = state.published["rds"].content.named, desired.kinds["rds"].named
    below_before = with_members(direct_before, published.resources) - direct_before
    needed_now = with_members(direct_now, wanted.resources)
    used_alike = (direct_before & direct_now) | (below_before & (needed_now - direct_now))
    current = {name for name in needed_now if wanted.digests[name] == published.digests.get(name)}
    if state.certain is None or not needed_now <= published.digests.keys():
        return False
    return all(
        name in clusters and (name in used_alike or (name in current and clusters[name] == wanted.digests[name]))
        for clusters in state.certain.values()
        for name in needed_now
    )


def _differs(state: State, desired: Desired, kind: Kind) -> bool:
    written = state.published.get(kind)
    return written is None or written.content.digest != desired.kinds[kind].digest


def _may_write(state: State, desired: Desired, kind: Kind) -> bool:
    return _differs(state, desired, kind) and not _is_refused(state, kind, desired.kinds[kind])


def _is_refused(state: State, kind: Kind, content: Content) -> bool:
    return (kind, content.digest) in state.refused


def _write(state: State, kind: Kind, phase: str, content: Content) -> Write:
    before = state.published.get(kind)
    order = Order(state.sequence, phase)
    if before is not None and order <= before.order:
        # Versions of one kind only ever rise: by them a gateway is kept from an older table.
        order = Order(before.order.sequence + 1, phase)
    return Write(kind, Written(make_version(order, content), content))
