"""The store's interfaces (protocols). Implementations: SQLite locally, Kubernetes objects in a cluster.

One shared test suite covers both.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from fairlead.contracts.action import Action, Outcome
from fairlead.contracts.instance import Instance, Wanted
from fairlead.contracts.revision import Checkpoint, Revision
from fairlead.contracts.route import Route, RouteSpec, UnreadableRoute
from fairlead.contracts.window import Window


class RouteStore(Protocol):
    """The routes: desired state, written by users."""

    def routes(self) -> list[Route]:
        """All routes that can be read, by name.

        If a spec can no longer be read, the last state that this process could read is returned.
        """
        ...

    def unreadable_routes(self) -> list[UnreadableRoute]:
        """All other routes, by name. They still exist: what they serve must not be removed."""
        ...

    def route(self, name: str) -> Route:
        """One route. Raises NotFound, whose hint lists the existing routes, and Invalid if it cannot be read."""
        ...

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
        """Create or replace the spec; `generation` grows only when the spec differs.

        `expected` is the resource version that the caller read, 0 for "must not exist", None to skip the check.
        Raises Conflict if another writer changed the route since then.
        """
        ...

    def delete_route(self, name: str) -> None:
        """Delete the route; its ledger stays. Raises NotFound."""
        ...

    def change_token(self) -> object:
        """A token that differs from the previous one if any writer changed anything. Cheap: polled every tick."""
        ...


class Ledger(Protocol):
    """The revisions of every route."""

    def append(self, revision: Revision) -> Revision:
        """Seal the revision and append it. Raises Conflict unless `seq` and `parent` continue the head."""
        ...

    def head(self, route: str) -> Revision | None:
        """The newest revision, which is the state of the route. None before the first, and after a removal."""
        ...

    def revision(self, route: str, seq: int) -> Revision:
        """One revision. Raises NotFound; the hint says which revisions are kept."""
        ...

    def revisions(self, route: str, *, limit: int | None = None) -> list[Revision]:
        """The kept revisions, ascending; with `limit`, only that many of the newest."""
        ...

    def at(self, route: str, moment: datetime) -> Revision:
        """The revision that was in force at that time. Raises NotFound if the ledger does not reach back that far."""
        ...

    def checkpoint(self, route: str) -> Checkpoint | None:
        """Where pruning stopped."""
        ...

    def verify(self, route: str) -> str | None:
        """None if the chain is intact, else one sentence that names the first broken revision."""
        ...

    def prune(self, route: str, *, keep: int, now: datetime) -> int:
        """Delete all but the newest `keep` revisions and store a checkpoint. Returns how many were deleted."""
        ...

    def add_window(self, route: str, window: Window, *, at_once: bool = True) -> None:
        """Store a window counted since the head. At most 240 windows are kept; older ones are merged pairwise.

        Only the newest window keeps the state of its evidence; the one before it is stored `without_state()`. With
        `at_once=False` the window can be read immediately, but may be written later, with the route's next status. A
        crash before that loses it, as a crash before this call would. A revision that is appended first contains it.
        """
        ...

    def windows(self, route: str) -> list[Window]:
        """The windows since the head, ascending. Appending a revision clears them."""
        ...


class ActionStore(Protocol):
    """Actions: requests to the rollout engine."""

    def create_action(self, action: Action) -> Action:
        """Store the action, or return the stored one of that name. Raises Conflict if that is a different request."""
        ...

    def action(self, name: str) -> Action:
        """One action. Raises NotFound."""
        ...

    def actions(self, route: str | None = None, *, outcome: Outcome | None = None) -> list[Action]:
        """Actions, oldest first."""
        ...

    def finish_action(
        self, name: str, outcome: Outcome, *, message: str = "", revision: int | None = None, route: str | None = None
    ) -> None:
        """Store the outcome. Repeating the call with the same outcome does nothing.

        `route` is the action's own: a store of several namespaces may have several actions of one name.
        """
        ...


class InstanceStore(Protocol):
    """The wanted instances and the reported ones."""

    def want(self, wanted: Sequence[Wanted]) -> None:
        """Replace the whole list of wanted instances."""
        ...

    def wanted(self) -> list[Wanted]:
        """The wanted instances, by id."""
        ...

    def report(self, instance: Instance) -> None:
        """Store the current state of one instance."""
        ...

    def remove_instance(self, instance_id: str) -> None:
        """Remove a stopped instance."""
        ...

    def instances(self) -> list[Instance]:
        """The reported instances, by id."""
        ...


class StatusStore(Protocol):
    """The last status of each route, written by the engine for its clients. The engine never reads it back.

    `since` of a condition is kept from the status before, while the condition's `status` does not change.
    """

    def set_status(self, route: str, status: dict[str, object], *, namespace: str | None = None) -> None:
        """Replace a route's status document; nothing, if by now the route of this name is not one of `namespace`."""
        ...

    def status(self, route: str) -> dict[str, object] | None:
        """The last status document."""
        ...

    def last_beat(self) -> datetime | None:
        """When the statuses were up to date last, by the control plane's clock; None if that is not known."""
        ...


class Store(RouteStore, Ledger, ActionStore, InstanceStore, StatusStore, Protocol):
    """The whole store."""
