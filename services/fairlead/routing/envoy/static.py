"""Renders a snapshot into its bootstrap, for `envoy --mode validate`, which does not read watched files."""

from __future__ import annotations

from fairlead.routing.envoy.proto import MODELS, Json, stripped
from fairlead.routing.snapshot import Resource, Snapshot


def render_static(snapshot: Snapshot, bootstrap: Json) -> Json:
    """The same configuration without dynamic sources; Envoy then rejects routes that name a missing cluster."""
    rest = {key: value for key, value in bootstrap.items() if key != "dynamic_resources"}
    routes = {**stripped(snapshot.routes[MODELS]), "validate_clusters": True}
    return {
        **rest,
        "static_resources": {
            "clusters": [stripped(cluster) for cluster in snapshot.clusters.values()],
            "listeners": [_with_routes(listener, routes) for listener in snapshot.listeners.values()],
        },
    }


def _with_routes(listener: Resource, routes: Json) -> Json:
    [chain] = listener["filter_chains"]
    [manager] = chain["filters"]
    config = {key: value for key, value in manager["typed_config"].items() if key != "rds"}
    inline = {**manager, "typed_config": {**config, "route_config": routes}}
    return {**stripped(listener), "filter_chains": [{**chain, "filters": [inline]}]}
