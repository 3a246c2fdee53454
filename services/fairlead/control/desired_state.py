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
        heads = {route.name: self._head(route.name) for route in routes}
        # Without its table a route that cannot be read would lose its model.
        kept = [(one.name, head) for one in unreadable if (head := self._head(one.name)) is not None]
        readable = [(route, head) for route in routes if (head := heads[route.name]) is not None]
        found, left_out = _one_per_model(readable, kept)
        self._complain(
            {
                one.name: f"{one.message}; it keeps serving its last table, and nothing of it changes"
                for one in unreadable
            }
            | left_out
        )
        self._heads = {**{route.name: head for route, head in readable}, **dict(kept)}
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

    def _complain(self, complaints: dict[str, str]) -> None:
        """One line when something else is wrong with a route than before."""
        known, self._complaints = self._complaints, complaints
        for name, message in complaints.items():
            if known.get(name) != message:
                _LOG.error("%s", message)


def _one_per_model(
    readable: Sequence[tuple[Route, Revision]], kept: Sequence[tuple[str, Revision]]
) -> tuple[list[tuple[str, Revision]], dict[str, str]]:
    """The heads to publish, one per model, and a sentence for each route whose head is left out.

    Two heads have one model for a while when a route has changed its model and another has taken it over. First come
    routes whose spec still names the model, the oldest first; then those that cannot be read; then all others.
    """
    ranked = [
        (0 if head.table.model == route.spec.model else 2, route.created_at.timestamp(), route.name, head)
        for route, head in readable
    ]
    ranked += [(1, 0.0, name, head) for name, head in kept]
    found: dict[str, tuple[str, Revision]] = {}
    left_out: dict[str, str] = {}
    for _, _, name, head in sorted(ranked, key=lambda one: one[:3]):
        winner, _ = found.setdefault(head.table.model, (name, head))
        if winner != name:
            left_out[name] = f"route {name!r} is not published: route {winner!r} also has model {head.table.model!r}"
    return sorted(found.values(), key=lambda one: one[0]), left_out
