"""Resources with their digests, so that "is it the same" is one comparison of two short strings."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fairlead.contracts.base import digest
from fairlead.routing.snapshot import Resource, Snapshot

_VERSION = re.compile(r"([0-9]{1,18})\.([a-z])-[0-9a-f]{10}")

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


@dataclass(frozen=True, slots=True, order=True)
class Order:
    """When a version was written, relative to others of its kind. Phases: a adds, b routes, c removes, r restores."""

    sequence: int
    phase: str = ""


NOTHING = Order(0)
"""Before every version of ours."""


@dataclass(frozen=True, slots=True)
class Written:
    """Content as it was given to gateways, under a version no other writing has."""

    version: str
    content: Content

    @property
    def order(self) -> Order:
        """What never goes back."""
        return order_of(self.version)


def make_version(order: Order, content: Content) -> str:
    """`12.a-0f3b...`: which wish, which phase of it, which content."""
    return f"{order.sequence}.{order.phase}-{content.digest[:10]}"


def order_of(version: str) -> Order:
    """The order in a version; NOTHING for a version that is not ours."""
    found = _VERSION.fullmatch(version)
    return Order(int(found[1]), found[2]) if found else NOTHING


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
