"""The world as gateways shall serve it: routes and heads of the store, compiled, and only when something differs."""

from __future__ import annotations

from typing import Protocol

from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route
from fairlead.control.endpoints import EndpointSource
from fairlead.routing.compile import Compiled
from fairlead.routing.compile import compile as compile_tables
from fairlead.routing.snapshot import Routed, Settings, Snapshot


class WorldStore(Protocol):
    """What is compiled."""

    def routes(self) -> list[Route]: ...  # noqa: D102
    def head(self, route: str) -> Revision | None: ...  # noqa: D102


class World:
    """Not for several threads at once."""

    def __init__(self, store: WorldStore, endpoints: EndpointSource, settings: Settings) -> None:
        self._store, self._endpoints, self._settings = store, endpoints, settings
        self._made_of: object = None
        self._snapshot: Snapshot | None = None
        self._compiled = Compiled()

    def snapshot(self) -> Snapshot:
        """What every gateway shall serve now: the very same object while nothing it is made of has changed.

        The publisher looks whether any gateway may be given it.
        """
        routes = self._store.routes()
        heads = {route.name: self._store.head(route.name) for route in routes}
        found = [(name, head) for name, head in heads.items() if head is not None]
        pending = [route.spec.model for route in routes if heads[route.name] is None]
        endpoints = self._endpoints.endpoints([head.table for _, head in found])
        made_of = ([(name, head.seq, head.hash) for name, head in found], pending, endpoints)
        if self._snapshot is None or made_of != self._made_of:
            routed = [Routed(name, head.seq, head.table) for name, head in found]
            snapshot = compile_tables(routed, endpoints, self._settings, pending, compiled=self._compiled)
            self._made_of, self._snapshot = made_of, snapshot
        return self._snapshot
