"""What a publisher reports about its gateways and its own progress: the same for watched files and for xDS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fairlead.routing.envoy.routes import revisions_in
from fairlead.routing.publish.resource_sets import Update


@dataclass(frozen=True, slots=True)
class Gateway:
    """One gateway as it last answered. `programmed` maps a route's name to the revision it serves."""

    name: str
    reachable: bool
    programmed: Mapping[str, int] = field(default_factory=dict)
    rejected: str | None = None
    """Its reason for rejecting the desired configuration; it keeps serving the one before."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the desired snapshot is published. `waiting_for` is empty when settled."""

    settled: bool
    waiting_for: str = ""
    rejected: str | None = None


_MAX_VERSIONS = 16


class PublishedRevisions:
    """Maps published versions of the routes to their revisions. Keeps the newest 16: gateways are never far behind."""

    def __init__(self) -> None:
        self._revisions: dict[str, Mapping[str, int]] = {}

    def record(self, update: Update | None) -> None:
        """Add an update of the routes. Call it for every such update."""
        if update is None:
            return
        self._revisions[update.version] = revisions_of(update)
        for version in list(self._revisions)[:-_MAX_VERSIONS]:
            del self._revisions[version]

    def of_version(self, version: str) -> Mapping[str, int]:
        """The revisions that a gateway with this version serves; empty for an unknown version."""
        return self._revisions.get(version, {})


def revisions_of(update: Update) -> Mapping[str, int]:
    """Every route in an update of the routes, with its revision."""
    return {
        route: seq
        for configuration in update.content.resources.values()
        for route, seq in revisions_in(configuration).items()
    }
