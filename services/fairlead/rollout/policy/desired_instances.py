"""Which instances should run. More than the spec says: whatever serves, or may serve again at once, stays."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from fairlead.contracts.instance import Wanted
from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route, VersionRef


def wanted(
    routes: Sequence[Route],
    heads: Mapping[str, Revision],
    now: datetime,
    *,
    existing: Sequence[Wanted] = (),
    settled: Collection[str] = (),
    serving: Collection[str] = (),
) -> list[Wanted]:
    """Every version of every spec, what the heads serve, and what may not be stopped yet; by id.

    `existing` are the rows as they are: a version that left the spec is kept from them, with its folder and count.
    `settled` names the routes whose head every known gateway serves; of any other nothing is stopped, because a
    gateway may still send requests there. `serving` names the routes that some gateway still serves, deleted or not.
    """
    rows: dict[str, Wanted] = {}
    for route in routes:
        head = heads.get(route.name)
        kept = _kept(route, head, now)
        for row in existing:
            if row.model == route.spec.model and (route.name not in settled or row.ref in kept):
                rows[row.id] = row
        rows.update((row.id, row) for row in _specified(route))
    # A deleted route's instances go when no gateway sends them anything any more.
    models = {route.spec.model for route in routes}
    rows.update((row.id, row) for row in existing if row.model not in models and row.model in serving)
    return [rows[key] for key in sorted(rows)]


def _specified(route: Route) -> Iterator[Wanted]:
    for version, spec in route.spec.versions.items():
        if spec.source is None:
            continue  # its Deployment is somebody else's
        for index in range(spec.instances):
            yield Wanted(
                namespace=route.namespace,
                model=route.spec.model,
                ref=spec.ref(version),
                index=index,
                source=spec.source,
            )


def _kept(route: Route, head: Revision | None, now: datetime) -> set[VersionRef]:
    """What stays whatever is specified: stable, the candidate, the one before within its window; and every version of
    the spec that somebody else runs, because only they know how many of it there are.
    """
    theirs = {spec.ref(version) for version, spec in route.spec.versions.items() if spec.source is None}
    if head is None:
        return theirs
    kept = theirs | {head.table.stable}
    if head.table.candidate is not None:
        kept.add(head.table.candidate)
    if within_rollback_window(route, head, now) and head.state.previous is not None:
        kept.add(head.state.previous)
    # A spec that lists the version again decides its count itself.
    return kept - {spec.ref(version) for version, spec in route.spec.versions.items() if spec.source is not None}


def within_rollback_window(route: Route, head: Revision, now: datetime) -> bool:
    """True while the version before the last promotion must stay ready for one command back."""
    promoted = head.state.promoted_at
    return promoted is not None and now < promoted + timedelta(seconds=route.spec.strategy.rollback_window)
