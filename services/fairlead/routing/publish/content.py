"""Resources with their digests, so that "is it the same" is one comparison of two short strings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fairlead.contracts.base import digest
from fairlead.routing.snapshot import Resource, Snapshot

Kind = Literal["cds", "lds", "rds"]
KINDS: tuple[Kind, ...] = ("cds", "rds", "lds")
"""Clusters, routes, listeners: in the order in which a gateway can first use them."""


@dataclass(frozen=True, slots=True)
class Content:
    """The resources of one kind. `digests` has one digest for each, `digest` one for all."""

    resources: Mapping[str, Resource]
    digests: Mapping[str, str]
    digest: str

    @classmethod
    def of(cls, resources: Mapping[str, Resource]) -> Content:
        """The same resources give the same digests, whether they were compiled or read from a file."""
        return cls._with(resources, {name: digest(_canonical(resources[name])) for name in resources})

    def extended_by(self, newer: Content) -> Content:
        """Both together; where both have a name, the newer resource."""
        return Content._with({**self.resources, **newer.resources}, {**self.digests, **newer.digests})

    @classmethod
    def _with(cls, resources: Mapping[str, Resource], digests: Mapping[str, str]) -> Content:
        return cls(resources, digests, digest(_canonical(digests)))


@dataclass(frozen=True, slots=True)
class Desired:
    """A snapshot, kind by kind."""

    kinds: Mapping[Kind, Content]
    digest: str

    @classmethod
    def of(cls, snapshot: Snapshot) -> Desired:
        """Digests everything once; planning then compares digests only."""
        kinds: dict[Kind, Content] = {
            "cds": Content.of(snapshot.clusters),
            "lds": Content.of(snapshot.listeners),
            "rds": Content.of(snapshot.routes),
        }
        return cls(kinds, digest(_canonical({kind: content.digest for kind, content in kinds.items()})))


@dataclass(frozen=True, slots=True)
class Written:
    """Content as it was given to gateways, under a version no other writing has."""

    version: str
    content: Content

    @property
    def sequence(self) -> int:
        """The number that never goes back."""
        return sequence_of(self.version)


def make_version(sequence: int, phase: str, content: Content) -> str:
    """`12.a-0f3b...`: which wish, which phase of it (a adds, b routes, c removes, r restores), which content."""
    return f"{sequence}.{phase}-{content.digest[:10]}"


def sequence_of(version: str) -> int:
    """The sequence in a version; 0 for a version that is not ours."""
    number = version.partition(".")[0]
    return int(number) if number.isascii() and number.isdigit() else 0


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
