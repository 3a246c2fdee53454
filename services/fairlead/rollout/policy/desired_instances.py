"""Which instances should run: those in the spec, and those that serve or may have to serve again at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

from fairlead.contracts.instance import Wanted
from fairlead.contracts.revision import Phase, Revision, State
from fairlead.contracts.route import Route, VersionRef
from fairlead.rollout.ports import GatewayState


def wanted_instances(
    routes: Sequence[Route],
    heads: Mapping[str, Revision],
    now: datetime,
    *,
    existing: Sequence[Wanted] = (),
    settled: Collection[str] = (),
    serving: Collection[str] = (),
    stopped: Mapping[str, Collection[VersionRef]] = MappingProxyType({}),
) -> list[Wanted]:
    """The versions of every spec, the versions that the heads serve, and instances that may not be stopped yet, by id.

    `existing` are the present rows: a version that left the spec is kept from them, with its folder and count.
    `settled` names the routes whose head every known gateway serves. Instances of other routes are not stopped, because
    a gateway may still send them requests. `serving` names the routes that a gateway still serves, deleted or not.
    `stopped` has the cold versions of each route: one row says that none of their instances should run.
    """
    rows: dict[str, Wanted] = {}
    of_model = by_model(existing)
    for route in routes:
        head = heads.get(route.name)
        mine = of_model.get((route.namespace, route.spec.model), ())
        kept, cold = _kept(route, head, now), stopped.get(route.name, {row.ref for row in mine if row.stopped})
        for row in mine:
            if route.name not in settled or row.ref in kept:
                # One that left the spec has only this row, which says whether it runs.
                is_cold = head is not None and row.ref in head.table.cold
                rows[row.id] = row.model_copy(update={"stopped": row.ref in cold}) if is_cold else row
        for row in _specified(route, head, {row.id: row.attempt for row in mine}):
            if row.ref not in cold:
                rows[row.id] = row
            elif row.index == 0:
                rows[row.id] = row.model_copy(update={"stopped": True})
    # A deleted route's instances are stopped when no gateway serves the route any more.
    models = {(route.namespace, route.spec.model) for route in routes}
    gone = [row for row in existing if (row.namespace, row.model) not in models]
    rows.update((row.id, row) for row in gone if row.model in serving)
    return [rows[key] for key in sorted(rows)]


def _specified(route: Route, head: Revision | None, attempts: Mapping[str, int]) -> Iterator[Wanted]:
    """The instances of the spec; those that are not being released keep their attempt of the rows that exist."""
    released = head.state if head is not None and head.state.phase is not Phase.STABLE else None
    for version, spec in route.spec.versions.items():
        if spec.source is None:
            continue  # its Deployment is managed elsewhere
        for index in range(spec.instances):
            row = Wanted(
                namespace=route.namespace,
                model=route.spec.model,
                ref=spec.ref(version),
                index=index,
                source=spec.source,
                folder=spec.folder,
            )
            is_released = released is not None and released.target == row.ref
            attempt = released.attempt if released is not None and is_released else attempts.get(row.id, 0)
            yield row.model_copy(update={"attempt": attempt})


def _kept(route: Route, head: Revision | None, now: datetime) -> set[VersionRef]:
    """Versions that stay even if the spec does not list them.

    These are stable, the candidate and, within the rollback window, the previous version. Versions that are managed
    elsewhere stay too, because Fairlead does not know their count.
    """
    theirs = {spec.ref(version) for version, spec in route.spec.versions.items() if spec.source is None}
    if head is None:
        return theirs
    kept = theirs | {head.table.stable}
    if head.table.candidate is not None:
        kept.add(head.table.candidate)
    if within_rollback_window(route, head.state, now) and head.state.previous is not None:
        kept.add(head.state.previous)
    # If the spec lists the version, the spec decides its count.
    return kept - {spec.ref(version) for version, spec in route.spec.versions.items() if spec.source is not None}


def by_model(existing: Iterable[Wanted]) -> dict[tuple[str, str], list[Wanted]]:
    """The rows by namespace and model."""
    found: dict[tuple[str, str], list[Wanted]] = {}
    for row in existing:
        found.setdefault((row.namespace, row.model), []).append(row)
    return found


def wanted_counts(route: Route, existing: Iterable[Wanted]) -> dict[VersionRef, int]:
    """How many instances each version of a route should have: what the spec says, else the rows that exist.

    `existing` may have rows of other models, which do not count. One that is cold and stopped should have none.

    A version without either is managed elsewhere, and its count is not known.
    """
    found: dict[VersionRef, int] = {}
    for row in existing:
        if (row.namespace, row.model) == (route.namespace, route.spec.model):
            found[row.ref] = found.get(row.ref, 0) + (not row.stopped)
    specified = {spec.ref(name): spec for name, spec in route.spec.versions.items() if spec.source is not None}
    return found | {ref: spec.instances for ref, spec in specified.items() if found.get(ref) != 0}


def is_settled(head: Revision, gateways: Sequence[GatewayState]) -> bool:
    """True when every known gateway serves the head. Only then no gateway sends requests to versions that left it.

    A gateway that does not answer counts as behind here, unlike for a rise: it may still be sending requests.
    """
    return bool(gateways) and all(one.reachable and one.programmed.get(head.route, 0) >= head.seq for one in gateways)


def roles(state: State, stable: VersionRef, *, is_returnable: bool) -> set[VersionRef]:
    """The versions that a rollout in progress needs; without one those that a rollback may need."""
    if state.phase is not Phase.STABLE:
        return {stable, state.target}
    return {stable, state.previous} if is_returnable and state.previous is not None else set()


def within_rollback_window(route: Route, state: State, now: datetime) -> bool:
    """True while the version before the last promotion must stay ready for a rollback."""
    promoted = state.promoted_at
    return promoted is not None and now < promoted + timedelta(seconds=route.spec.strategy.rollback_window)
