"""Reads from the store what the pages show.

Revisions never change, and each contains all windows of its step. Those of the routes that were read last are kept:
parsing them again every second would cost more than everything else, and in a cluster each is a request to the API
server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from fairlead import errors
from fairlead.contracts.base import as_query_time
from fairlead.contracts.gateway import pin_name
from fairlead.contracts.health import STALE_AFTER_S
from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route, Step
from fairlead.contracts.table import Table
from fairlead.contracts.window import Window
from fairlead.control.api import ApiStore, LoopHealth
from fairlead.control.console.acts import Act, acts
from fairlead.control.console.drift import DriftPage, drift_page
from fairlead.control.console.fleet import Fleet, fleet
from fairlead.control.console.memo import Memo
from fairlead.control.console.place import Place
from fairlead.control.console.route import RoutePage, route_page
from fairlead.control.console.timeline import Entry, entry, timeline
from fairlead.control.drift import DriftReadings, Read
from fairlead.rollout.policy.settings import strategy_in_force
from fairlead.store.statuses import shown_statuses
from fairlead.views import evidence_svg
from fairlead.views.attempt import Attempt, attempts
from fairlead.views.drift import VersionDrift, version_drifts

SHOWN, MOST_SHOWN = 20, 200
"""How many revisions a page shows, and how many it can be asked for."""
DRAWN_WINDOWS = 240
"""A drawing has no room for more points."""


class ConsoleStore(ApiStore, Protocol):
    """The part of the store that the console reads: that of the API, and the windows since the head."""

    def windows(self, route: str) -> list[Window]: ...  # noqa: D102
    def change_token(self) -> object: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Served:
    """What served at a time: the revision that was in force."""

    model: str
    asked: str
    entry: Entry
    options: str = ""
    """Of a command about the model."""


class Load(Protocol):
    """What is known of the requests of models."""

    readings: int

    def recent(self, namespace: str, model: str) -> Sequence[float]: ...  # noqa: D102


class Drift(Protocol):
    """What the instances of a model have counted for drift."""

    count: int

    def of(self, model: str, *, wait_s: float = 0.0) -> Read: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class Unwatched:
    """Nothing is known."""

    readings = 0

    def recent(self, namespace: str, model: str) -> Sequence[float]:  # noqa: ARG002
        """No number."""
        return ()


class Reader:
    """Makes what the pages show. Any thread may call it."""

    def __init__(
        self,
        store: ConsoleStore,
        loop: LoopHealth,
        place: Place,
        *,
        load: Load | None = None,
        drift: Drift | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._loop, self.place = store, loop, place
        self._load: Load = load or Unwatched()
        self._drift: Drift = drift or DriftReadings(store.instances)
        self._clock, self._monotonic = clock, monotonic
        self._revisions: Memo[Sequence[Revision]] = Memo()
        self._drawings: Memo[str] = Memo()
        self._drifts: Memo[Sequence[VersionDrift]] = Memo()

    def close(self) -> None:
        """Ask no more instances."""
        self._drift.close()

    def change_token(self) -> object:
        """Differs from the last one if anything that a page shows may have changed, but for running times."""
        return self._store.change_token(), self.notice(), self._load.readings, self._drift.count

    def notice(self) -> str:
        """Why everything that is shown may be old; empty while the loop turns."""
        silent = self._monotonic() - self._loop.beat if self._loop.beat else 0.0
        if silent <= STALE_AFTER_S:
            return ""
        return f"the control plane has not turned for more than {STALE_AFTER_S:.0f} s: what this page shows is old"

    def now(self) -> str:
        """The time of day, for what a page that does not change any more is as of."""
        return f"{self._clock():%H:%M:%S} UTC"

    def fleet(self) -> Fleet:
        """The first page."""
        routes = self._store.routes()
        load = {route.name: self._load.recent(route.namespace, route.spec.model) for route in routes}
        return fleet(shown_statuses(self._store), self.place, self._clock(), load, self._namespaces(routes))

    def acts(self, name: str) -> tuple[Act, ...]:
        """What may be asked for now. Raises NotFound."""
        head = self._store.head(name)
        try:
            route = self._store.route(name)
        except errors.Invalid:
            return ()
        (status,) = shown_statuses(self._store, name)
        return acts(status, head, route.generation) if head is not None else ()

    def docs(self, name: str) -> dict[str, str]:
        """The address of the docs of each version that can be asked, by its name; empty where it is not known."""
        head = self._store.head(name)
        if head is None or not self.place.gateway_url:
            return {}
        base = f"{self.place.gateway_url}/models/{head.table.model}/versions"
        return {one: f"{base}/{one}/docs" for one in versions(head.table)}

    def table(self, name: str) -> Table:
        """The table that serves. Raises NotFound without one."""
        head = self._store.head(name)
        if head is None:
            self._exists(name)
            raise errors.NotFound(f"nothing serves {name} yet", hint=f"see what it waits for: fairlead status {name}")
        return head.table

    def exists(self, name: str) -> None:
        """Raises NotFound if there is no such route, and never was one."""
        self.is_removed(name)

    def route(self, name: str) -> RoutePage:
        """The page of one model. Raises NotFound."""
        (status,) = shown_statuses(self._store, name)
        namespace = self._namespaces(self._store.routes()).get(name, "")
        instances = [
            one
            for one in self._store.instances()
            if one.model == self._model(name) and one.namespace == (namespace or one.namespace)
        ]
        return route_page(status, self._steps(name), instances, self.place.of_model(namespace), self._clock())

    def _namespaces(self, routes: Sequence[Route]) -> dict[str, str]:
        """The namespace of each route."""
        unreadable = {one.name: one.namespace for one in self._store.unreadable_routes()}
        return unreadable | {one.name: one.namespace for one in routes}

    def evidence(self, name: str) -> str:
        """The drawing of the newest attempt of which something was counted, as SVG; empty if there is none."""
        (status,) = shown_statuses(self._store, name)
        revisions, since = self._history(name, SHOWN), self._store.windows(name)
        newest = (revisions[-1].hash if revisions else "", len(since), since[-1].end if since else None)

        def draw(_: str | None) -> str:
            found = attempts(name, revisions, since, status.checks)
            counted = next((one for one in reversed(found) if one.windows), None)
            return evidence_svg.draw(thinned(counted)) if counted is not None else ""

        return self._drawings.get(name, newest, draw)

    def drift(self, name: str, version: str = "", of_slice: str = "", *, wait_s: float = 0.0) -> DriftPage:
        """The page of a version's drift, by default stable's. Raises NotFound.

        It is of the last reading; `wait_s` is how long a new one is waited for if that is old.
        """
        self._exists(name)
        head = self._store.head(name)
        read = self._drift.of(self._model(name), wait_s=wait_s)
        made_of = read.number, head.hash if head is not None else ""
        table = head.table if head is not None else None
        versions = self._drifts.get(
            name, made_of, lambda _: version_drifts(table, read.versions, is_known=bool(read.number))
        )
        return drift_page(name, versions, version, of_slice)

    def timeline(self, name: str, limit: int = SHOWN) -> Sequence[Entry]:
        """The newest revisions of a model, also of one that was removed. Raises NotFound if there never was one."""
        # One more than is shown, for what the oldest changed.
        found = timeline(self._history(name, limit + 1))
        if not found:
            self._exists(name)
        return found[:limit]

    def is_removed(self, name: str) -> bool:
        """Whether there is a ledger of this name and no route any more. Raises NotFound if there is neither."""
        try:
            self._exists(name)
        except errors.NotFound:
            if not self._store.revisions(name, limit=1):
                raise
            return True
        return False

    def at(self, name: str, asked: str) -> Served:
        """What served at this time. Raises Invalid if it is no time, and NotFound if the ledger does not reach back."""
        if not asked.strip():
            raise errors.Invalid(
                f"no time is given, so there is nothing to look up in the ledger of {name}",
                hint=f"add it to the address: /console/routes/{name}/at?time=2026-11-21T10:00:00Z",
            )
        try:
            moment = as_query_time(datetime.fromisoformat(asked.strip()))
        except ValueError:
            raise errors.Invalid(
                f"{asked[:40]!r} is not a time", hint="write it like 2026-11-21T10:00:00Z; without a zone it is UTC"
            ) from None
        found = self._store.at(name, moment)
        return Served(name, asked.strip(), entry(None, found), self.place.of_model(found.namespace).options)

    def _exists(self, name: str) -> None:
        if name not in (one.name for one in self._store.unreadable_routes()):
            self._store.route(name)

    def _model(self, name: str) -> str:
        try:
            return self._store.route(name).spec.model
        except errors.Invalid:
            return name

    def _steps(self, name: str) -> tuple[Step, ...]:
        """The steps of the attempt in progress."""
        try:
            route = self._store.route(name)
        except errors.Invalid:
            return ()
        newest = self._history(name, SHOWN + 1)
        return strategy_in_force(route, newest[-1]).steps if newest else route.spec.strategy.steps

    def _history(self, name: str, limit: int) -> Sequence[Revision]:
        """The newest revisions, ascending. The usual number of them is kept, and only new ones are read."""
        # A removed model has no head, and its last revision says so.
        newest = self._store.head(name) or next(iter(self._store.revisions(name, limit=1)), None)
        if newest is None:
            return ()
        if limit > SHOWN + 1:
            return self._store.revisions(name, limit=limit)
        kept = self._revisions.get(name, newest.hash, lambda known: self._continued(name, newest, known or ()))
        return kept[-limit:]

    def _continued(self, name: str, newest: Revision, known: Sequence[Revision]) -> Sequence[Revision]:
        """The revisions that are kept, up to the newest one."""
        missing = newest.seq - known[-1].seq if known else 0
        if 0 < missing <= SHOWN:
            more = self._store.revisions(name, limit=missing)
            if more and more[0].parent == known[-1].hash:
                return [*known, *more][-SHOWN - 1 :]
        return self._store.revisions(name, limit=SHOWN + 1)


def versions(table: Table) -> dict[str, str]:
    """What each version that can be asked is, by the name in its path: `stable`, `candidate`, else empty."""
    roles = {table.stable: "stable", table.candidate: "candidate"}
    known = dict.fromkeys(one for one in (table.stable, table.candidate, *table.pins) if one is not None)
    return {pin_name(table, one): roles.get(one, "") for one in known}


def thinned(attempt: Attempt) -> Attempt:
    """The attempt with at most DRAWN_WINDOWS windows, the last one among them: gates keep their values there."""
    count = len(attempt.windows)
    if count <= DRAWN_WINDOWS:
        return attempt
    kept = sorted({round(at * (count - 1) / (DRAWN_WINDOWS - 1)) for at in range(DRAWN_WINDOWS)})
    return replace(
        attempt,
        windows=tuple(attempt.windows[at] for at in kept),
        led_to=tuple(attempt.led_to[at] for at in kept),
        harm=tuple(replace(line, log_e=tuple(line.log_e[at] for at in kept)) for line in attempt.harm),
        safe=tuple(replace(line, log_e=tuple(line.log_e[at] for at in kept)) for line in attempt.safe),
    )
