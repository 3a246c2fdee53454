"""The table of a revision, built whole from the spec."""

from __future__ import annotations

from fairlead.contracts.route import Route, VersionRef
from fairlead.contracts.table import Mirror, Table
from fairlead.rollout.policy import time_limit
from fairlead.rollout.policy.observation import Observation
from fairlead.rollout.policy.situation import Situation


def new_table(
    route: Route,
    kept: set[VersionRef],
    *,
    stable: VersionRef,
    candidate: VersionRef | None = None,
    weight: int = 0,
    attempt: int = 0,
    limit_s: float,
    shadowed: VersionRef | None = None,
) -> Table:
    """All weights, pins, mirrors and limits.

    `kept` are the pins besides stable and the candidate. `shadowed` gets the copies that the strategy asks for.
    """
    spec, shadow = route.spec, route.spec.strategy.shadow
    pins = kept | {ref for ref in (stable, candidate) if ref is not None}
    mirrors = [Mirror(version=spec.versions[one.version].ref(one.version), share=one.share) for one in spec.mirrors]
    if shadowed is not None and shadow is not None:
        # One mirrored request per version is enough: the larger share of both settings.
        asked = max((one.share for one in mirrors if one.version == shadowed), default=0)
        mirrors = [one for one in mirrors if one.version != shadowed]
        mirrors.append(Mirror(version=shadowed, share=max(shadow.share, asked)))
    return Table(
        namespace=route.namespace,
        model=spec.model,
        attempt=attempt,
        stable=stable,
        candidate=candidate,
        weight=weight,
        pins=tuple(sorted(pins, key=lambda ref: (ref.version, ref.identity))),
        mirrors=tuple(mirror for mirror in mirrors if mirror.version in pins),
        sticky=spec.sticky.header if spec.sticky else None,
        request_timeout_s=spec.timeouts.request,
        per_try_timeout_s=min(limit_s, spec.timeouts.request),
        idempotent=spec.idempotent,
    )


def limit_of(situation: Situation, *, rises: bool) -> float:
    """The candidate's time limit in seconds. A default one follows stable's latency, and changes only with a step."""
    timeouts = situation.route.spec.timeouts
    if timeouts.per_try is None and not rises:
        return situation.head.table.per_try_timeout_s
    return time_limit.limit_for(timeouts, situation.observation.windows)


def pinned(before: tuple[VersionRef, ...], route: Route, observation: Observation) -> set[VersionRef]:
    """The spec's versions that are ready or were pinned before. A pin stays, so that its name keeps working."""
    refs = {spec.ref(version) for version, spec in route.spec.versions.items()}
    return {ref for ref in refs if ref in before or observation.ready.get(ref, 0)}


def without_pins(table: Table, refs: list[VersionRef]) -> Table:
    """The table without these versions among its pins and mirrors."""
    pins = tuple(ref for ref in table.pins if ref not in refs)
    mirrors = tuple(mirror for mirror in table.mirrors if mirror.version not in refs)
    return table.model_copy(update={"pins": pins, "mirrors": mirrors})
