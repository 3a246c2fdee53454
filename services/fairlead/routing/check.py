"""Checks before publishing: snapshots with missing clusters, without listeners, or without the routes of before."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from fairlead.contracts.route import TOTAL_WEIGHT
from fairlead.errors import Refused
from fairlead.routing.references import members, named_by_routes, routes_in
from fairlead.routing.snapshot import Snapshot

MAX_DIRECT_RESPONSE_BYTES = 4096
"""Envoy rejects a whole route configuration for one body above this."""


def check_snapshot(snapshot: Snapshot, *, allow_empty: bool = False) -> None:
    """Raises Refused naming every problem. `allow_empty` permits a snapshot without listeners: it closes the port."""
    problems = [*_dangling(snapshot), *_routes(snapshot)]
    if not snapshot.listeners and not allow_empty:
        problems.append("no listener: publishing this would close the gateway's port")
    if problems:
        raise Refused("the configuration was not published: " + "; ".join(problems))


def check_succession(published: Mapping[str, int], snapshot: Snapshot, *, unknown: bool = False) -> None:
    """Raises Refused for a snapshot that would remove all routes at once: that happens when the store lost its data.

    `published` maps the routes that gateways have now to their revisions. Removing some of several routes is allowed.
    `unknown` is True when gateways serve a configuration whose publication is lost.
    """
    if (published or unknown) and not snapshot.revisions:
        names = ", ".join(sorted(published)[:5]) + (", ..." if len(published) > 5 else "")
        names = names or "a configuration whose publication is lost"
        raise Refused(
            f"the store has no revision of any route, but gateways serve {names}: nothing is published, "
            "because that would remove every route",
            hint="the gateways keep serving; restore the store, or create a route: all others are then removed",
        )


def check_unread(missing: Collection[str], unread: Collection[str]) -> None:
    """Raises Refused if routes that gateways serve were never seen, while some namespaces could not be read.

    They may be routes of these namespaces, whose models would get no requests any more, or those of another team.
    """
    if missing and unread:
        names = ", ".join(sorted(missing)[:5]) + (", ..." if len(missing) > 5 else "")
        raise Refused(
            f"gateways serve {names} as no namespace that can be read has it, and {', '.join(sorted(unread))} cannot "
            "be read: nothing is published, because these models would get no requests any more",
            hint="give the control plane its rights there: upgrade the platform's chart; or take the namespace out of "
            "`namespaces`, and its models are removed",
        )


def seen_routes(known: Collection[str], revisions: Mapping[str, int], published: Mapping[str, int]) -> frozenset[str]:
    """The routes that are `known` and those of a snapshot, without new ones that are behind what is published.

    A ledger only grows: a lower revision is of another route of that name.
    """
    behind = {name for name, seq in revisions.items() if name not in known and seq < published.get(name, 0)}
    return frozenset({*known, *revisions} - behind)


def _dangling(snapshot: Snapshot) -> Iterator[str]:
    for name in sorted(named_by_routes(snapshot.routes.values()) - snapshot.clusters.keys()):
        yield f"a route names cluster {name}, which does not exist"
    for name, cluster in snapshot.clusters.items():
        for member in members(cluster):
            if member not in snapshot.clusters:
                yield f"aggregate {name} names cluster {member}, which does not exist"
    for kind, resources in (
        ("cluster", snapshot.clusters),
        ("listener", snapshot.listeners),
        ("route configuration", snapshot.routes),
    ):
        yield from (f"{kind} {key} has the name {one['name']}" for key, one in resources.items() if one["name"] != key)


def _routes(snapshot: Snapshot) -> Iterator[str]:
    for configuration in snapshot.routes.values():
        for route in routes_in(configuration):
            yield from _route(route)


def _route(route: Mapping[str, Any]) -> Iterator[str]:
    name = route.get("name", "?")
    entries = route.get("route", {}).get("weighted_clusters", {}).get("clusters")
    if entries is not None and (total := sum(entry["weight"] for entry in entries)) != TOTAL_WEIGHT:
        yield f"the weights of route {name} sum to {total}, not {TOTAL_WEIGHT}"
    body = route.get("direct_response", {}).get("body", {}).get("inline_string", "")
    if len(body.encode()) > MAX_DIRECT_RESPONSE_BYTES:
        yield f"the direct response of route {name} is longer than {MAX_DIRECT_RESPONSE_BYTES} bytes"
