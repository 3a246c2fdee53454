"""Whose a route's name is where one platform serves several namespaces: the oldest route has it. No I/O here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fairlead.store.kubernetes.kinds import Object, name_of


@dataclass(frozen=True, slots=True)
class RouteNames:
    """The namespace of each route's name, and the routes whose name another namespace has."""

    namespaces: Mapping[str, str]
    displaced: tuple[tuple[str, str], ...] = ()
    """Namespace and name of routes that are not followed."""


def route_names(routes: Mapping[str, tuple[Object, ...]]) -> RouteNames:
    """By the objects of the routes of each namespace. Those that are being deleted have no name any more.

    Of two that were created in one second the one whose namespace comes first in the alphabet has the name.
    """
    found = sorted(
        (str(one["metadata"]["creationTimestamp"]), namespace, name_of(one))
        for namespace, objects in routes.items()
        for one in objects
        if "deletionTimestamp" not in one["metadata"]
    )
    namespaces: dict[str, str] = {}
    for _, namespace, name in found:
        namespaces.setdefault(name, namespace)
    displaced = sorted((namespace, name) for _, namespace, name in found if namespaces[name] != namespace)
    return RouteNames(namespaces, tuple(displaced))
