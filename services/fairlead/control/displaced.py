"""Tells routes that are not followed why: a route of the same name in another namespace of the platform is older."""

from __future__ import annotations

from collections.abc import Callable, Sized
from contextlib import suppress
from typing import Protocol

from fairlead import errors
from fairlead.contracts.route import Route, UnreadableRoute
from fairlead.control.loop import TickingEngine
from fairlead.rollout.report import report_conflict


class DisplacedRoutes(Protocol):
    """The part of a store of several namespaces that is used here."""

    def displaced(self) -> list[tuple[Route | UnreadableRoute, str]]: ...  # noqa: D102
    def report_displaced(  # noqa: D102
        self, route: Route | UnreadableRoute, status: dict[str, object], message: str
    ) -> None: ...


class TellingEngine:
    """A `loop.TickingEngine`: the engine's ticks, and after each the statuses of routes that it does not know."""

    def __init__(self, engine: TickingEngine, store: DisplacedRoutes) -> None:
        self._engine, self._store = engine, store

    def tick_urgent(self) -> Sized:
        """The engine's."""
        return self._engine.tick_urgent()

    def tick(self, between: Callable[[], None]) -> object:
        """The engine's, then the statuses. One that cannot be written now is written by the next tick.

        One that the API server does not take stops no other: it is a route that serves nothing.
        """
        appended = self._engine.tick(between)
        for route, namespace in self._store.displaced():
            status = report_conflict(route, route.name, namespace)
            with suppress(errors.Conflict, errors.Invalid, errors.NotFound):
                self._store.report_displaced(route, status, str(status["waiting"]))
        return appended
