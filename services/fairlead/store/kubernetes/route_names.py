"""Whose a route's name is where one platform serves several namespaces: the oldest route has it. No I/O here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from fairlead.store.kubernetes.kinds import Object, name_of


@dataclass(frozen=True, slots=True)
class RouteNames:
    """The namespace of each route's name, and the routes whose name another namespace has."""

    namespaces: Mapping[str, str]
    displaced: tuple[tuple[str, str], ...] = ()
    """Namespace and name of routes that are not followed."""


def route_names(
    routes: Mapping[str, tuple[Object, ...]], held: Collection[tuple[str, str]] = frozenset()
) -> RouteNames:
    """By the objects of the routes of each namespace. Those that are being deleted have no name any more.

    Of two that were created in one second the one whose namespace comes first in the alphabet has the name. Nothing is
    said of those that are `held`, by namespace and name.
    """
    found = sorted(
        (str(one["metadata"]["creationTimestamp"]), namespace, name_of(one))
        for namespace, one in _alive(routes)
        if (namespace, name_of(one)) not in held
    )
    namespaces: dict[str, str] = {}
    for _, namespace, name in found:
        namespaces.setdefault(name, namespace)
    displaced = sorted((namespace, name) for _, namespace, name in found if namespaces[name] != namespace)
    return RouteNames(namespaces, tuple(displaced))


def held_routes(
    routes: Mapping[str, tuple[Object, ...]], decided: Collection[tuple[str, str]]
) -> frozenset[tuple[str, str]]:
    """The routes whose status says that another route has their name or model, which is not among these routes.

    It may be in a namespace that could not be read since this process started: it has the name still. `decided` names
    those whose rival this process has known.
    """
    found = [(namespace, name_of(one), one) for namespace, one in _alive(routes)]
    told = [one for one in found if one[:2] not in decided and _has_conflict(one[2])]
    if not told:
        return frozenset()
    those = {one[:2] for one in told}
    others = [one for one in found if one[:2] not in those]
    names, models = {name for _, name, _ in others}, {_model(one) for _, _, one in others}
    return frozenset((where, name) for where, name, one in told if name not in names and _model(one) not in models)


def _alive(routes: Mapping[str, tuple[Object, ...]]) -> Iterator[tuple[str, Object]]:
    return (
        (namespace, one)
        for namespace, objects in routes.items()
        for one in objects
        if "deletionTimestamp" not in one["metadata"]
    )


def _has_conflict(route: Object) -> bool:
    conditions = (route.get("status") or {}).get("conditions") or ()
    return any((one.get("type"), one.get("status")) == ("Conflict", "True") for one in conditions)


def _model(route: Object) -> str:
    return str((route.get("spec") or {}).get("model") or name_of(route))
