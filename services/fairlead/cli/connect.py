"""Where a command finds the platform's objects: the state folder of this directory, or the one named.

The same objects live in a cluster as Kubernetes resources; a command speaks to a store and does not know which.
"""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fairlead import errors
from fairlead.contracts.route import Route
from fairlead.store.base import Store
from fairlead.store.sqlite import SqliteStore


@dataclass(frozen=True)
class Connection:
    """A store, and who is asking."""

    store: Store
    actor: str

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
