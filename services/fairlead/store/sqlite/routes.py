"""Routes in SQLite: the users' specs, each with a resource version for compare-and-set."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import datetime

from pydantic import ValidationError

from fairlead import errors
from fairlead.contracts.revision import Cause
from fairlead.contracts.route import Route, RouteSpec, UnreadableRoute
from fairlead.store import forward_compatibility
from fairlead.store.sqlite import documents
from fairlead.store.sqlite.database import Database

_HINT = "use that version's commands, or stop `fairlead up` and start it again with this version"


class SqliteRoutes:
    """`store.base.RouteStore`."""

    _database: Database
    _read: dict[str, Route]

    def routes(self) -> list[Route]:
        """All routes that can be read, by name.

        If a route's document can no longer be read, because another version wrote it while this process runs, the last
        readable state is returned.
        """
        return [one for one in self._all() if isinstance(one, Route)]

    def unreadable_routes(self) -> list[UnreadableRoute]:
        """All other routes, by name."""
        return [one for one in self._all() if isinstance(one, UnreadableRoute)]

    def route(self, name: str) -> Route:
        """One route. Raises NotFound, whose hint lists the existing routes, and Invalid like `routes`."""
        found = self._route(name)
        if found is None:
            raise self._missing(name)
        return found

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
        """Create or replace the spec; see `store.base.RouteStore.put_route`.

        Raises Invalid if a newer Fairlead wrote the route last, so that its fields are not overwritten.
        """
        with self._database.writing() as connection:
            found = self._route(name, strictly=True)
            _expect(name, found, expected)
            if found is None:
                route = Route(name=name, resource_version=1, created_at=now, actor=actor, reason=reason, spec=spec)
            else:
                route = found.model_copy(update={"spec": spec})
                if spec != found.spec:
                    changed = {"generation": found.generation + 1, "actor": actor, "reason": reason}
                    route = route.model_copy(update=changed)
            if annotations is not None:
                route = route.model_copy(update={"annotations": annotations})
            if route == found:
                return found
            route = route.model_copy(update={"resource_version": found.resource_version + 1 if found else 1})
            connection.execute(
                "INSERT INTO routes VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE"
                " SET resource_version = excluded.resource_version, document = excluded.document",
                (name, route.resource_version, route.model_dump_json(by_alias=True)),
            )
            return route

    def delete_route(self, name: str) -> None:
        """Delete the route; its ledger stays. Raises NotFound."""
        with self._database.writing() as connection:
            self._delete(connection, name)

    def _delete(self, connection: sqlite3.Connection, name: str) -> None:
        if not connection.execute("DELETE FROM routes WHERE name = ?", (name,)).rowcount:
            raise self._missing(name)
        connection.execute("DELETE FROM statuses WHERE route = ?", (name,))

    def change_token(self) -> object:
        """A token that differs from the previous one if any writer changed anything in the store."""
        return self._database.change_token()

    def _all(self) -> Iterator[Route | UnreadableRoute]:
        with self._database.reading() as connection:
            rows = connection.execute("SELECT name, document FROM routes ORDER BY name").fetchall()
        for name, document in rows:
            try:
                yield self._parse(name, document)
            except errors.Invalid as error:
                yield UnreadableRoute(name=name, message=error.message)

    def _route(self, name: str, *, strictly: bool = False) -> Route | None:
        with self._database.reading() as connection:
            row = connection.execute("SELECT document FROM routes WHERE name = ?", (name,)).fetchone()
        return self._parse(name, row[0], strictly=strictly) if row else None

    def _parse(self, name: str, document: str, *, strictly: bool = False) -> Route:
        try:
            self._read[name] = documents.route(document)
        except ValidationError as error:
            if strictly:
                raise errors.Invalid(f"route {name!r} was written by another Fairlead version", hint=_HINT) from error
            try:
                self._read[name] = forward_compatibility.read(Route, json.loads(document), f"route {name!r}")
            except errors.Invalid as invalid:
                if name not in self._read:
                    raise errors.Invalid(invalid.message, hint=_HINT) from error
        return self._read[name]

    def _missing(self, name: str) -> errors.NotFound:
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT document FROM revisions WHERE route = ? ORDER BY seq DESC LIMIT 1", (name,)
            ).fetchone()
        last = json.loads(row[0]) if row else {}
        if last.get("cause") == Cause.REMOVED:
            return errors.NotFound(
                f"{name!r} was removed by {last['actor']} in revision {name}.{last['seq']}: {last['reason']}",
                hint=f"its ledger stays: fairlead history {name}; to serve it again: fairlead deploy DIR",
            )
        names = ", ".join(one.name for one in self._all()) or "none yet"
        return errors.NotFound(f"there is no route {name!r}", hint=f"routes: {names}")


def _expect(name: str, found: Route | None, expected: int | None) -> None:
    present = found.resource_version if found else 0
    if expected is None or expected == present:
        return
    if expected == 0:
        raise errors.Conflict(f"route {name!r} exists already")
    if found is None:
        raise errors.Conflict(f"route {name!r} was deleted since you read it")
    raise errors.Conflict(
        f"route {name!r} was changed by {found.actor or 'another writer'} since you read it",
        hint="read it again and repeat the change",
    )
