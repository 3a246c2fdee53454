"""The desired state of the gateways: the store's routes and heads, compiled to a snapshot when something changed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from fairlead import errors
from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route, UnreadableRoute
from fairlead.control.endpoints import EndpointSource
from fairlead.routing.compile import CompileCache
from fairlead.routing.compile import compile as compile_tables
from fairlead.routing.snapshot import Guard, Routed, Settings, Snapshot

_LOG = logging.getLogger("fairlead.control")


class RouteStore(Protocol):
    """The part of the store that is compiled."""

    def routes(self) -> list[Route]: ...  # noqa: D102
    def unreadable_routes(self) -> list[UnreadableRoute]: ...  # noqa: D102
    def head(self, route: str) -> Revision | None: ...  # noqa: D102


class DesiredState:
    """Compiles the desired snapshot. Not thread-safe."""

    def __init__(
        self,
        store: RouteStore,
        endpoints: EndpointSource,
        settings: Settings,
        guard: Callable[[], Guard | None] = lambda: None,
    ) -> None:
        """`guard` returns who may call now."""
        self._store, self._endpoints, self._settings, self._guard = store, endpoints, settings, guard
        self._inputs: object = None
        self._snapshot: Snapshot | None = None
        self._cache = CompileCache()
        self._heads: dict[str, Revision] = {}
        self._complaints: dict[str, str] = {}

    def snapshot(self) -> Snapshot:
        """What every gateway should serve now: the same object as long as its inputs are unchanged.

        The snapshot is not checked here; the publisher checks it.
        """
        routes, unreadable = self._store.routes(), self._store.unreadable_routes()
        self._log_unreadable(unreadable)
        heads = {route.name: self._head(route.name) for route in routes}
        found = [(name, head) for name, head in heads.items() if head is not None]
        # Without its table a route that cannot be read would lose its model.
        models = {head.table.model for _, head in found}
        kept = [(one.name, head) for one in unreadable if (head := self._head(one.name)) is not None]
        found += [(name, head) for name, head in kept if head.table.model not in models]
        self._heads = dict(found)
        pending = [route.spec.model for route in routes if heads[route.name] is None]
        may_be_cold = [
            (route, spec.ref(name))
            for route in routes
            for name, spec in route.spec.versions.items()
            if spec.min_instances is not None
        ]
        often = {(route.namespace, route.spec.model, ref) for route, ref in may_be_cold}
        waits_s = max((route.spec.scale_to_zero.wait for route, _ in may_be_cold), default=0.0)
        endpoints = self._endpoints.endpoints([head.table for _, head in found], often)
        guard = self._guard()
        inputs = ([(name, head.seq, head.hash) for name, head in found], pending, endpoints, guard, waits_s)
        if self._snapshot is None or inputs != self._inputs:
            routed = [Routed(name, head.seq, head.table) for name, head in found]
            settings = replace(self._settings, guard=guard, longest_wait_s=waits_s)
            snapshot = compile_tables(routed, endpoints, settings, pending, cache=self._cache)
            self._inputs, self._snapshot = inputs, snapshot
        return self._snapshot

    def _head(self, route: str) -> Revision | None:
        """The head, or the last one that could be read. Raises Invalid if there is none: the others must wait then.

        Without its table the route would lose its model.
        """
        try:
            return self._store.head(route)
        except errors.Invalid:
            if route not in self._heads:
                raise
            return self._heads[route]

    def _log_unreadable(self, unreadable: Sequence[UnreadableRoute]) -> None:
        """One line when a route cannot be read for another reason than before."""
        known, self._complaints = self._complaints, {one.name: one.message for one in unreadable}
        for name, message in self._complaints.items():
            if known.get(name) != message:
                _LOG.error("%s; it keeps serving its last table, and nothing of it changes", message)
