"""Where a command finds the platform's objects: the state folder of this directory, or the one named.

The same objects live in a cluster as Kubernetes resources; a command speaks to a store and does not know which.
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
from fairlead.cli.options import Place
from fairlead.contracts.route import Route
from fairlead.store.base import Store
from fairlead.store.sqlite import SqliteStore


@dataclass(frozen=True)
class Connection:
    """A store, and who is asking. `guard` raises Refused for a release that is somebody else's to make."""

    store: Store
    actor: str
    guard: Callable[[Route, str], None] = lambda route, version: None
    look_s: float = 0.1
    """How often it may be asked while somebody waits."""

    def retarget(self, model: str, version: str, reason: str) -> Route:
        """Make a version the target. Raises NotFound for one that the route does not have."""
        route = self.store.route(model)
        if version not in route.spec.versions:
            raise errors.NotFound(
                f"{model} has no version {version!r}; it has {', '.join(route.spec.versions)}",
                hint="add it first: fairlead deploy DIR",
            )
        self.guard(route, version)
        target = route.spec.target.model_copy(update={"version": version})
        return self.store.put_route(
            model,
            route.spec.model_copy(update={"target": target}),
            now=datetime.now(UTC),
            actor=self.actor or optional_modules.load("fairlead.cli.cluster").user_name(self.store),
            reason=reason,
            annotations=route.annotations,
            expected=route.resource_version,
        )


def connect(place: Place) -> Connection:
    """The platform of this folder, or of a cluster. Raises Unavailable when there never was one."""
    if place.in_cluster:
        cluster = optional_modules.load("fairlead.cli.cluster")
        found = cluster.open_store(place.context, place.namespace)
        # Who we are costs a request, and only a release needs it.
        return Connection(found, "", partial(cluster.insist_on_ours, found), look_s=1.0)
    state = place.state
    ledger = state / "ledger.db"
    if not ledger.exists():
        raise errors.Unavailable(
            f"there is no platform in {state.absolute()}",
            hint="start one with `fairlead up`, or name its folder with --state, or a cluster with --namespace",
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
