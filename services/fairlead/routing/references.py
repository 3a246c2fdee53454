"""Finds the clusters that a resource names. Checks and the order of updates are based on this."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fairlead.routing.envoy.holding import FILTER
from fairlead.routing.snapshot import Resource


def named_by_routes(configurations: Iterable[Resource], *, held: bool = True) -> frozenset[str]:
    """Every cluster to which these route configurations can send a request, mirrors included.

    Without `held`, only those to which a request goes at once, because no instance of theirs need be started first.
    """
    return frozenset(
        name
        for configuration in configurations
        for route in routes_in(configuration)
        if held or FILTER not in route.get("typed_per_filter_config", ())
        for name in _named_by_action(route.get("route", {}))
    )


def routes_in(configuration: Resource) -> Iterator[Mapping[str, Any]]:
    """Every route of a route configuration, whether its virtual hosts list routes or match them by path prefix.

    Configurations published by an older Fairlead list them. A route that is in several lists is returned several times.
    """
    for host in configuration["virtual_hosts"]:
        yield from host.get("routes", ())
        if matcher := host.get("matcher"):
            for found in (*matcher["matcher_tree"]["prefix_match_map"]["map"].values(), matcher["on_no_match"]):
                yield from found["action"]["typed_config"]["routes"]


def members(cluster: Resource) -> tuple[str, ...]:
    """The clusters an aggregate consists of; none for any other."""
    config: Mapping[str, Any] = cluster.get("cluster_type", {}).get("typed_config", {})
    return tuple(config.get("clusters", ()))


def needed(configurations: Iterable[Resource], clusters: Mapping[str, Resource]) -> frozenset[str]:
    """The named clusters and, through `clusters`, the members of the aggregates among them."""
    return with_members(named_by_routes(configurations), clusters)


def with_members(named: frozenset[str], clusters: Mapping[str, Resource]) -> frozenset[str]:
    """These clusters and, through `clusters`, the members of the aggregates among them."""
    return named.union(*(members(clusters[name]) for name in named if name in clusters))


def _named_by_action(action: Mapping[str, Any]) -> Iterator[str]:
    if "cluster" in action:
        yield action["cluster"]
    yield from (entry["name"] for entry in action.get("weighted_clusters", {}).get("clusters", ()))
    yield from (mirror["cluster"] for mirror in action.get("request_mirror_policies", ()))
