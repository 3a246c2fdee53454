"""What a publisher tells of its gateways and of its own progress: the same for watched files and for xDS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fairlead.routing.envoy.routes import revisions_in
from fairlead.routing.publish.resource_sets import Written


@dataclass(frozen=True, slots=True)
class Gateway:
    """One gateway as it last answered. `programmed` maps a route's name to the revision it serves."""

    name: str
    reachable: bool
    programmed: Mapping[str, int] = field(default_factory=dict)
    rejected: str | None = None
    """The reason it gave for refusing what is wanted; the configuration before keeps serving."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a wish has come. `waiting_for` is empty when settled."""

    settled: bool
    waiting_for: str = ""
    rejected: str | None = None


_REMEMBERED = 16


class Programmed:
    """Which revisions each written version of the routes stands for. The newest few: gateways are never far behind."""

    def __init__(self) -> None:
        self._revisions: dict[str, Mapping[str, int]] = {}

    def wrote(self, written: Written | None) -> None:
        """To be told of every writing of routes."""
        if written is None:
            return
        self._revisions[written.version] = revisions_of(written)
        for version in list(self._revisions)[:-_REMEMBERED]:
            del self._revisions[version]

    def by(self, version: str) -> Mapping[str, int]:
        """What a gateway serves that uses this version; nothing for a version that is not known."""
        return self._revisions.get(version, {})


def revisions_of(written: Written) -> Mapping[str, int]:
    """Every route in a writing of routes, with its revision."""
    return {
        route: seq
        for configuration in written.content.resources.values()
        for route, seq in revisions_in(configuration).items()
    }
