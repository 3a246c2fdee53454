"""compile(): turns route tables and endpoints into everything a gateway serves. Pure and deterministic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fairlead.errors import Invalid
from fairlead.routing.envoy.access import access_clusters
from fairlead.routing.envoy.clusters import Endpoints, control_cluster, table_clusters
from fairlead.routing.envoy.holding import hold_cluster
from fairlead.routing.envoy.listener import listeners
from fairlead.routing.envoy.proto import Json
from fairlead.routing.envoy.routes import route_configuration, table_routes
from fairlead.routing.envoy.tracing import collector_clusters
from fairlead.routing.snapshot import Endpoint, Resource, Routed, Settings, Snapshot


@dataclass(frozen=True, slots=True)
class _Part:
    """The clusters and routes of one route table, and the inputs they were compiled from."""

    routed: Routed
    hosts: Sequence[Sequence[Endpoint]]
    clusters: Sequence[Json]
    routes: Mapping[str, Sequence[Json]]


class CompileCache:
    """Keeps the last result per route, so that the next compile() compiles only routes that differ.

    The result is equal with and without the cache. With it, an unchanged resource is also the same object.
    """

    def __init__(self) -> None:
        self._parts: Mapping[str, _Part] = {}

    def parts(self, tables: Sequence[Routed], endpoints: Endpoints) -> Sequence[_Part]:
        """One part for each table. Parts of other tables are dropped."""
        self._parts = {one.route: self._part(one, endpoints) for one in tables}
        return list(self._parts.values())

    def _part(self, routed: Routed, endpoints: Endpoints) -> _Part:
        table, known = routed.table, self._parts.get(routed.route)
        refs = dict.fromkeys((*table.pins, table.stable, *((table.candidate,) if table.candidate else ())))
        hosts = [endpoints.get((table.namespace, table.model, ref), ()) for ref in refs]
        if known is not None and (known.routed, known.hosts) == (routed, hosts):
            return known
        return _Part(routed, hosts, list(table_clusters(table, endpoints)), table_routes(routed))


def compile(  # noqa: A001 - the usual word for this
    routed: Iterable[Routed],
    endpoints: Endpoints,
    settings: Settings,
    pending: Collection[str] = (),
    *,
    cache: CompileCache | None = None,
) -> Snapshot:
    """Compile route tables to one snapshot. `pending` names models with a route but no ready version: they get 503.

    `cache` keeps the results of the last call. Raises Invalid for a model with two tables, a name that cannot be part
    of a cluster name, and a host that is not an address.
    """
    tables = sorted(routed, key=lambda one: one.route)
    models = Counter(one.table.model for one in tables)
    if twice := sorted(model for model, count in models.items() if count > 1):
        raise Invalid(f"two routes have the same model: {', '.join(twice)}")
    parts = (cache or CompileCache()).parts(tables, endpoints)
    clusters = [cluster for part in parts for cluster in part.clusters]
    routes = {base: listed for part in parts for base, listed in part.routes.items()}
    waiting = sorted(set(pending) - models.keys())
    configuration = route_configuration(
        tables,
        routes,
        pending=waiting,
        hosts=settings.hosts,
        cors_origins=settings.cors_origins,
        guard=settings.guard,
        entry=settings.entry,
        grpc=settings.grpc,
    )
    holding = [hold_cluster(settings.control)] if settings.holds else []
    return Snapshot(
        clusters=_by_name(
            [
                control_cluster(settings.control),
                *holding,
                *access_clusters(settings.guard),
                *collector_clusters(settings.tracing),
                *clusters,
            ]
        ),
        listeners=_by_name(listeners(settings)),
        routes=_by_name([configuration]),
        revisions={one.route: one.seq for one in tables},
    )


def _by_name(resources: Iterable[Json]) -> dict[str, Resource]:
    return {resource["name"]: resource for resource in sorted(resources, key=lambda one: str(one["name"]))}
