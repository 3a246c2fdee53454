"""What a store can do. SQLite on a laptop, Kubernetes objects in a cluster; one shared suite tests both."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from fairlead.contracts.action import Action, Outcome
from fairlead.contracts.instance import Instance, Wanted
from fairlead.contracts.revision import Checkpoint, Revision, Window
from fairlead.contracts.route import Route, RouteSpec


class RouteStore(Protocol):
    """The users' wishes."""

    def routes(self) -> list[Route]:
        """All routes, by name."""
        ...

    def route(self, name: str) -> Route:
        """One route. Raises NotFound, naming the routes there are."""
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

        `expected` is the resource version the caller read, 0 for "must not exist", None for "whatever is there".
        Raises Conflict when somebody else wrote since.
        """
        ...

    def delete_route(self, name: str) -> None:
        """Remove the wish; its ledger stays. Raises NotFound."""
        ...

    def change_token(self) -> object:
        """Differs from the last one whenever anything in the store changed, by whomever. Cheap: asked every tick."""
        ...


class Ledger(Protocol):
    """Every table ever served."""

    def append(self, revision: Revision) -> Revision:
        """Append the head's successor, sealed. Raises Conflict unless `seq` and `parent` continue the head."""
        ...

    def head(self, route: str) -> Revision | None:
        """The last revision: the state of the route. None before the first."""
        ...

    def revision(self, route: str, seq: int) -> Revision:
        """One revision. Raises NotFound, saying what range is kept."""
        ...

    def revisions(self, route: str, *, limit: int | None = None) -> list[Revision]:
        """The kept revisions, ascending; with `limit`, the newest so many."""
        ...

    def at(self, route: str, moment: datetime) -> Revision:
        """The revision that was in force then. Raises NotFound when the ledger does not reach that far."""
        ...

    def checkpoint(self, route: str) -> Checkpoint | None:
        """Where pruning left off."""
        ...

    def verify(self, route: str) -> str | None:
        """None when the chain holds, else one sentence naming the first revision that does not."""
        ...

    def prune(self, route: str, *, keep: int, now: datetime) -> int:
        """Forget all but the newest `keep` revisions, leaving a checkpoint. Returns how many went."""
        ...

    def add_window(self, route: str, window: Window, *, at_once: bool = True) -> None:
        """Remember what was counted since the head; at most 240, older ones merged pairwise.

        Only the newest keeps the state of its evidence: what was the newest becomes its `passed()`. Not `at_once`, it
        is read at once all the same, and is written at the latest with the route's next status: a crash before that
        loses it, as a crash before the call does. A revision that is appended first takes it along.
        """
        ...

    def windows(self, route: str) -> list[Window]:
        """The windows since the head, ascending. Appending a revision clears them."""
        ...


class ActionStore(Protocol):
    """Requests to the engine."""

    def create_action(self, action: Action) -> Action:
        """Store it; the same name again returns what is stored. Raises Conflict if that differs in what it asks."""
        ...

    def action(self, name: str) -> Action:
        """One action. Raises NotFound."""
        ...

    def actions(self, route: str | None = None, *, outcome: Outcome | None = None) -> list[Action]:
        """Actions, oldest first."""
        ...

    def finish_action(self, name: str, outcome: Outcome, *, message: str = "", revision: int | None = None) -> None:
        """Say what became of it. Finishing a finished one again with the same outcome does nothing."""
        ...


class InstanceStore(Protocol):
    """Which processes should run, and which do."""

    def want(self, wanted: Sequence[Wanted]) -> None:
        """Replace the whole list of wanted instances."""
        ...

    def wanted(self) -> list[Wanted]:
        """The wanted instances, by id."""
        ...

    def report(self, instance: Instance) -> None:
        """Say what is known of one instance."""
        ...

    def forget(self, instance_id: str) -> None:
        """Remove a stopped instance."""
        ...

    def instances(self) -> list[Instance]:
        """The reported instances, by id."""
        ...


class StatusStore(Protocol):
    """What the engine last said of each route, for whoever asks; never read back by the engine."""

    def set_status(self, route: str, status: dict[str, object]) -> None:
        """Replace a route's status document."""
        ...

    def status(self, route: str) -> dict[str, object] | None:
        """The last status document."""
        ...


class Store(RouteStore, Ledger, ActionStore, InstanceStore, StatusStore, Protocol):
    """All of it."""
