"""compile(): route tables and endpoints in, everything a gateway shall serve out. Pure, and the same every time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from fairlead.errors import Invalid
from fairlead.routing.envoy.clusters import Endpoints, control_cluster, table_clusters
from fairlead.routing.envoy.listener import listener
from fairlead.routing.envoy.proto import Json
from fairlead.routing.envoy.routes import route_configuration
from fairlead.routing.snapshot import Resource, Routed, Settings, Snapshot


def compile(  # noqa: A001 - the word for it
    routed: Iterable[Routed], endpoints: Endpoints, settings: Settings, pending: Collection[str] = ()
) -> Snapshot:
    """`pending` names models that have a route and no version ready yet: they answer 503 and say so.

    Raises Invalid for a model with two tables, a name that cannot be part of a cluster's, a host that is no address.
    """
    tables = sorted(routed, key=lambda one: one.route)
    models = Counter(one.table.model for one in tables)
    if twice := sorted(model for model, count in models.items() if count > 1):
        raise Invalid(f"two tables for one path: {', '.join(twice)}")
    clusters = [cluster for one in tables for cluster in table_clusters(one.table, endpoints)]
    waiting = sorted(set(pending) - models.keys())
    return Snapshot(
        clusters=_by_name([control_cluster(settings.control), *clusters]),
        listeners=_by_name([listener(settings)]),
        routes=_by_name([route_configuration(tables, pending=waiting, cors_origins=settings.cors_origins)]),
        revisions={one.route: one.seq for one in tables},
    )


def _by_name(resources: Iterable[Json]) -> dict[str, Resource]:
    return {resource["name"]: resource for resource in sorted(resources, key=lambda one: str(one["name"]))}
