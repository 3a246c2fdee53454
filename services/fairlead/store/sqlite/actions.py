"""Actions in SQLite: requests to the engine, idempotent by name."""

from __future__ import annotations

from fairlead import errors
from fairlead.contracts.action import Action, Outcome
from fairlead.store.sqlite.database import Database
from fairlead.store.sqlite.ledger import microseconds


class SqliteActions:
    """`store.base.ActionStore`."""

    _database: Database

    def create_action(self, action: Action) -> Action:
        """Store the action, or return the stored one of that name. Raises Conflict if that is a different request."""
        with self._database.writing() as connection:
            found = self._action(action.name)
            if found is None:
                document = action.model_dump_json(by_alias=True)
                created = microseconds(action.created_at)
                connection.execute(
                    "INSERT INTO actions VALUES (?, ?, ?, ?, ?)",
                    (action.name, action.route, action.outcome, created, document),
                )
                return action
        if not found.is_same_request(action):
            raise errors.Conflict(
                f"action {action.name!r} exists already, and it is a different request: {found.type} of "
                f"{found.route!r}",
                hint="use another name",
            )
        return found

    def action(self, name: str) -> Action:
        """One action. Raises NotFound."""
        found = self._action(name)
        if found is None:
            raise errors.NotFound(f"there is no action {name!r}")
        return found

    def actions(self, route: str | None = None, *, outcome: Outcome | None = None) -> list[Action]:
        """Actions, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT document FROM actions WHERE (?1 IS NULL OR route = ?1) AND (?2 IS NULL OR outcome = ?2)"
                " ORDER BY created_us, name",
                (route, outcome),
            ).fetchall()
        return [Action.model_validate_json(document) for (document,) in rows]

    def finish_action(
        self,
        name: str,
        outcome: Outcome,
        *,
        message: str = "",
        revision: int | None = None,
        route: str | None = None,  # noqa: ARG002 - the name is enough here
    ) -> None:
        """Store the outcome. Repeating the call with the same outcome does nothing."""
        with self._database.writing() as connection:
            found = self.action(name)
            if found.outcome is outcome:
                return
            if found.outcome is not Outcome.PENDING:
                raise errors.Conflict(f"action {name!r} is already {found.outcome}")
            done = found.model_copy(update={"outcome": outcome, "message": message, "revision": revision})
            connection.execute(
                "UPDATE actions SET outcome = ?, document = ? WHERE name = ?",
                (outcome, done.model_dump_json(by_alias=True), name),
            )

    def _action(self, name: str) -> Action | None:
        with self._database.reading() as connection:
            row = connection.execute("SELECT document FROM actions WHERE name = ?", (name,)).fetchone()
        return Action.model_validate_json(row[0]) if row else None
