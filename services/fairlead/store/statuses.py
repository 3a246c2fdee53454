"""Reads the status document of a route. Every view uses this, so that all of them understand the same documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from fairlead.contracts.route import Route, UnreadableRoute
from fairlead.contracts.status import Status
from fairlead.store import forward_compatibility


class StatusReader(Protocol):
    """The part of the store that views read statuses from."""

    def status(self, route: str) -> dict[str, object] | None: ...  # noqa: D102


class RouteReader(StatusReader, Protocol):
    """The part of the store that views read routes and their statuses from."""

    def routes(self) -> list[Route]: ...  # noqa: D102
    def unreadable_routes(self) -> list[UnreadableRoute]: ...  # noqa: D102
    def route(self, name: str) -> Route: ...  # noqa: D102


def read_status(store: StatusReader, route: str) -> Status | None:
    """The last status; None until the control plane has written one. Raises Invalid if it cannot be read.

    A newer control plane may write fields that this process does not know: they are ignored.
    """
    written = store.status(route)
    return forward_compatibility.read(Status, written, f"the status of route {route!r}") if written else None


def shown_statuses(store: RouteReader, name: str | None = None) -> Iterator[Status]:
    """The status of every route, or of this one, by name; `waiting` says why a route has none, or cannot be read.

    Raises NotFound where there is no such route.
    """
    broken = {one.name: one for one in store.unreadable_routes()}
    routes = {} if name in broken else {one.name: one for one in ([store.route(name)] if name else store.routes())}
    for route in [name] if name else sorted(routes.keys() | broken.keys()):
        status = read_status(store, route)
        if route in broken:
            known = status or Status(route=route, observed_generation=0)
            yield known.model_copy(update={"waiting": broken[route].message})
        elif status is None:
            waiting = "the control plane to process it"
            yield Status(route=route, observed_generation=0, target=routes[route].spec.target_ref, waiting=waiting)
        else:
            yield status
