"""compile(): route tables and endpoints in, everything a gateway shall serve out. Pure, and the same every time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fairlead.errors import Invalid
from fairlead.routing.envoy.clusters import Endpoints, control_cluster, table_clusters
from fairlead.routing.envoy.listener import listener
from fairlead.routing.envoy.proto import Json
from fairlead.routing.envoy.routes import route_configuration, table_routes
from fairlead.routing.snapshot import Endpoint, Resource, Routed, Settings, Snapshot


@dataclass(frozen=True, slots=True)
class _Part:
    """What one route adds, and all that it was made of."""

    routed: Routed
    hosts: Sequence[Sequence[Endpoint]]
    clusters: Sequence[Json]
    routes: Mapping[str, Sequence[Json]]


class Compiled:
    """What the last compile() made of each route, so that the next one makes only what differs.

    It changes nothing about the result but that an unchanged resource is the very same object.
    """

    def __init__(self) -> None:
        self._parts: Mapping[str, _Part] = {}

    def parts(self, tables: Sequence[Routed], endpoints: Endpoints) -> Sequence[_Part]:
        """One part for each table. Others are forgotten."""
        self._parts = {one.route: self._part(one, endpoints) for one in tables}
        return list(self._parts.values())

    def _part(self, routed: Routed, endpoints: Endpoints) -> _Part:
        table, known = routed.table, self._parts.get(routed.route)
        refs = dict.fromkeys((*table.pins, table.stable, *((table.candidate,) if table.candidate else ())))
        hosts = [endpoints.get((table.namespace, table.model, ref), ()) for ref in refs]
        if known is not None and (known.routed, known.hosts) == (routed, hosts):
            return known
        return _Part(routed, hosts, list(table_clusters(table, endpoints)), table_routes(routed))


def compile(  # noqa: A001 - the word for it
    routed: Iterable[Routed],
    endpoints: Endpoints,
    settings: Settings,
    pending: Collection[str] = (),
    *,
    compiled: Compiled | None = None,
) -> Snapshot:
    """`pending` names models that have a route and no version ready yet: they answer 503 and say so.

    `compiled` is what is known from before. Raises Invalid for a model with two tables, a name that cannot be part of
    a cluster's, a host that is no address.
    """
    tables = sorted(routed, key=lambda one: one.route)
    models = Counter(one.table.model for one in tables)
    if twice := sorted(model for model, count in models.items() if count > 1):
        raise Invalid(f"two tables for one path: {', '.join(twice)}")
    parts = (compiled or Compiled()).parts(tables, endpoints)
    clusters = [cluster for part in parts for cluster in part.clusters]
    routes = {base: listed for part in parts for base, listed in part.routes.items()}
    waiting = sorted(set(pending) - models.keys())
    configuration = route_configuration(tables, routes, pending=waiting, cors_origins=settings.cors_origins)
    return Snapshot(
        clusters=_by_name([control_cluster(settings.control), *clusters]),
        listeners=_by_name([listener(settings)]),
        routes=_by_name([configuration]),
        revisions={one.route: one.seq for one in tables},
    )


def _by_name(resources: Iterable[Json]) -> dict[str, Resource]:
    return {resource["name"]: resource for resource in sorted(resources, key=lambda one: str(one["name"]))}
