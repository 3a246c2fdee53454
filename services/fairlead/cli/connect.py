"""Connects a command to its platform: opens the store of a state folder or of a Kubernetes namespace.

Both implement `Store`, so a command works the same way with either.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from fairlead import errors
from fairlead.cli import optional_modules
from fairlead.cli.options import NO_PLATFORM_HINT, PlatformLocation
from fairlead.contracts.acceptance import acceptance_text
from fairlead.contracts.labels import ACCEPT_BREAKING
from fairlead.contracts.route import Route
from fairlead.store.base import Store
from fairlead.store.sqlite import SqliteStore


@dataclass(frozen=True)
class Connection:
    """An open store, and the user name for changes.

    `guard` raises Refused when another tool manages the route and would undo a release.
    """

    store: Store
    actor: str
    guard: Callable[[Route, str, bool], None] = lambda route, version, accept_breaking: None
    poll_interval_s: float = 0.1
    """Seconds between two reads of the store while a command waits."""
    how_to_add: str = "fairlead deploy DIR"
    """How a version is added to a route of this platform."""

    def retarget(self, model: str, version: str, reason: str, *, accept_breaking: bool = False) -> Route:
        """Make a version the target. Raises NotFound when the route does not have that version.

        With `accept_breaking` the route, and the reason in the ledger, say that its breaking types are accepted for one
        attempt, and by whom.
        """
        route = self.store.route(model)
        if version not in route.spec.versions:
            raise errors.NotFound(
                f"{model} has no version {version!r}; it has {', '.join(route.spec.versions)}",
                hint=f"check the spelling, or add it first: {self.how_to_add}",
            )
        self.guard(route, version, accept_breaking)
        actor = self.actor or optional_modules.load("fairlead.cli.cluster").user_name(self.store)
        annotations = dict(route.annotations)
        if accept_breaking:
            head = self.store.head(model)
            seen = head.id if head is not None else ""
            annotations[ACCEPT_BREAKING] = acceptance_text(version, seen, actor=actor, reason=reason)
        why = reason or f"release {version}"
        target = route.spec.target.model_copy(update={"version": version})
        return self.store.put_route(
            model,
            route.spec.model_copy(update={"target": target}),
            now=datetime.now(UTC),
            actor=actor,
            reason=f"{why}; its breaking types are accepted" if accept_breaking else why,
            annotations=annotations,
            expected=route.resource_version,
        )


def connect(location: PlatformLocation) -> Connection:
    """Open the platform of a state folder or of a cluster. Raises Unavailable when the folder has no platform."""
    if location.in_cluster:
        cluster = optional_modules.load("fairlead.cli.cluster")
        found = cluster.open_store(location.context, location.namespace)
        # The user name costs a request to the API server, and only a release needs it.
        guard = partial(cluster.refuse_if_managed, found)
        return Connection(found, "", guard, poll_interval_s=1.0, how_to_add=cluster.HOW_TO_ADD)
    state = location.state
    ledger = state / "ledger.db"
    if not ledger.exists():
        raise errors.Unavailable(f"there is no platform in {state.absolute()}", hint=NO_PLATFORM_HINT)
    return Connection(SqliteStore(ledger), actor())


def actor() -> str:
    """The user name for changes: FAIRLEAD_ACTOR where it is set (for CI), else the operating system's user name."""
    named = os.environ.get("FAIRLEAD_ACTOR")
    if named:
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"
