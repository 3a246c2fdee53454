"""Where a command finds the platform's objects: the state folder of this directory, or the one named.

The same objects live in a cluster as Kubernetes resources; a command speaks to a store and does not know which.
"""

from __future__ import annotations

import getpass
import os
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from fairlead import errors
from fairlead.contracts.action import Action, ActionType
from fairlead.contracts.route import Route
from fairlead.store.base import Store
from fairlead.store.sqlite import SqliteStore

StateOption = Annotated[
    Path, typer.Option("--state", envvar="FAIRLEAD_STATE", help="The state folder of the platform.", show_default=True)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
ReasonOption = Annotated[str, typer.Option("--reason", "-m", help="Why; it goes into the ledger.")]
DEFAULT_STATE = Path(".fairlead")
ACTION_LIFETIME = timedelta(minutes=10)


@dataclass(frozen=True)
class Connection:
    """A store, and who is asking."""

    store: Store
    actor: str

    def act(
        self,
        model: str,
        kind: ActionType,
        *,
        reason: str,
        to_revision: int | None = None,
    ) -> Action:
        """Ask the engine for something. It is asked once it is stored, and expires if nobody acts on it.

        An approval names the attempt and the step that the caller could see: it never approves the next one.
        """
        self.store.route(model)
        head = self.store.head(model) if kind is ActionType.APPROVE else None
        now = datetime.now(UTC)
        return self.store.create_action(
            Action(
                name=f"{kind.value}-{uuid.uuid4().hex[:12]}",
                route=model,
                type=kind,
                attempt=head.state.attempt if head else None,
                step=head.state.step if head else None,
                to_revision=to_revision,
                actor=self.actor,
                reason=reason,
                created_at=now,
                expires_at=now + ACTION_LIFETIME,
            )
        )

    def action(self, name: str, model: str) -> Action:
        """What became of an action."""
        return next(action for action in self.store.actions(model) if action.name == name)

    def retarget(self, model: str, version: str, reason: str) -> Route:
        """Make a version the target. Raises NotFound for one that the route does not have."""
        route = self.store.route(model)
        if version not in route.spec.versions:
            raise errors.NotFound(
                f"{model} has no version {version!r}; it has {', '.join(route.spec.versions)}",
                hint="add it first: fairlead deploy DIR",
            )
        target = route.spec.target.model_copy(update={"version": version})
        return self.store.put_route(
            model,
            route.spec.model_copy(update={"target": target}),
            now=datetime.now(UTC),
            actor=self.actor,
            reason=reason,
            annotations=route.annotations,
            expected=route.resource_version,
        )


def connect(state: Path) -> Connection:
    """The platform of this folder. Raises Unavailable when there never was one."""
    ledger = state / "ledger.db"
    if not ledger.exists():
        raise errors.Unavailable(
            f"there is no platform in {state.absolute()}",
            hint="start one with `fairlead up`, or name its folder with --state",
        )
    return Connection(SqliteStore(ledger), actor())


def actor() -> str:
    """Who asks, as the machine knows them; FAIRLEAD_ACTOR says otherwise, for CI."""
    named = os.environ.get("FAIRLEAD_ACTOR")
    if named:
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"
