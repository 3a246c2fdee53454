"""The desired state of the gateways: the store's routes and heads, compiled to a snapshot when something changed."""

from __future__ import annotations

from typing import Protocol

from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route
from fairlead.control.endpoints import EndpointSource
from fairlead.routing.compile import CompileCache
from fairlead.routing.compile import compile as compile_tables
from fairlead.routing.snapshot import Routed, Settings, Snapshot


class RouteStore(Protocol):
    """The part of the store that is compiled."""

    def routes(self) -> list[Route]: ...  # noqa: D102
    def head(self, route: str) -> Revision | None: ...  # noqa: D102


class DesiredState:
    """Compiles the desired snapshot. Not thread-safe."""

    def __init__(self, store: RouteStore, endpoints: EndpointSource, settings: Settings) -> None:
        self._store, self._endpoints, self._settings = store, endpoints, settings
        self._inputs: object = None
        self._snapshot: Snapshot | None = None
        self._cache = CompileCache()

    def snapshot(self) -> Snapshot:
        """What every gateway should serve now: the same object as long as its inputs are unchanged.

        The snapshot is not checked here; the publisher checks it.
        """
        routes = self._store.routes()
        heads = {route.name: self._store.head(route.name) for route in routes}
        found = [(name, head) for name, head in heads.items() if head is not None]
        pending = [route.spec.model for route in routes if heads[route.name] is None]
        endpoints = self._endpoints.endpoints([head.table for _, head in found])
        inputs = ([(name, head.seq, head.hash) for name, head in found], pending, endpoints)
        if self._snapshot is None or inputs != self._inputs:
            routed = [Routed(name, head.seq, head.table) for name, head in found]
            snapshot = compile_tables(routed, endpoints, self._settings, pending, cache=self._cache)
            self._inputs, self._snapshot = inputs, snapshot
        return self._snapshot
