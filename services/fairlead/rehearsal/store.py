"""The very store, in memory, which reads nothing twice: one process alone writes to it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Revision, Window
from fairlead.contracts.route import Route, RouteSpec
from fairlead.store.sqlite import SqliteStore


class RehearsalStore(SqliteStore):
    """Engines read the head and the routes several times a tick, and thousands of ticks are played in a second."""

    def __init__(self) -> None:
        super().__init__(Path(":memory:"))
        self._heads: dict[str, Revision] = {}
        self._found: list[Route] | None = None
        self._counted: dict[str, list[Window]] = {}
        self._running: list[Instance] | None = None

    def append(self, revision: Revision) -> Revision:
        """Append it, and remember that it is the head."""
        sealed = super().append(revision)
        self._heads[sealed.route] = sealed
        self._counted.pop(sealed.route, None)
        return sealed

    def head(self, route: str) -> Revision | None:
        """What was appended last."""
        return self._heads.get(route)

    def add_window(self, route: str, window: Window) -> None:
        """Write it, and read the windows anew."""
        self._counted.pop(route, None)
        super().add_window(route, window)

    def windows(self, route: str) -> list[Window]:
        """The windows since the head, as they were last written."""
        if route not in self._counted:
            self._counted[route] = super().windows(route)
        return self._counted[route]

    def report(self, instance: Instance) -> None:
        """Write it, and read the instances anew."""
        self._running = None
        super().report(instance)

    def forget(self, instance_id: str) -> None:
        """Write it, and read the instances anew."""
        self._running = None
        super().forget(instance_id)

    def instances(self) -> list[Instance]:
        """The instances as they were last written."""
        if self._running is None:
            self._running = super().instances()
        return self._running

    def put_route(
        self,
        name: str,
        spec: RouteSpec,
        *,
        now: datetime,
        actor: str,
        reason: str = "",
        annotations: dict[str, str] | None = None,
        expected: int | None = None,
    ) -> Route:
        """Write it, and read the routes anew."""
        self._found = None
        return super().put_route(
            name, spec, now=now, actor=actor, reason=reason, annotations=annotations, expected=expected
        )

    def routes(self) -> list[Route]:
        """The routes as they were last written."""
        if self._found is None:
            self._found = super().routes()
        return self._found
