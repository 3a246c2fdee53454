"""Sets of Envoy resources with their digests, so that comparing two sets is comparing two short strings."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import orjson

from fairlead.routing.references import named_by_routes
from fairlead.routing.snapshot import Resource, Snapshot

_VERSION = re.compile(r"([0-9]{1,18})\.([a-z])-[0-9a-f]{10}")

Kind = Literal["cds", "lds", "rds"]
KINDS: tuple[Kind, ...] = ("cds", "rds", "lds")
"""Clusters, routes, listeners: in the order in which a gateway can first use them."""


@dataclass(frozen=True)
class ResourceSet:
    """The resources of one kind. `digests` has one digest per resource, `digest` is one for all."""

    resources: Mapping[str, Resource]
    digests: Mapping[str, str]
    digest: str

    @cached_property
    def named_clusters(self) -> frozenset[str]:
        """The clusters that route configurations name. Computed once: most of a snapshot's bytes are routes."""
        return named_by_routes(self.resources.values())

    @cached_property
    def open_clusters(self) -> frozenset[str]:
        """Those of them to which requests go at once, and do not wait for an instance first."""
        return named_by_routes(self.resources.values(), held=False)

    @classmethod
    def of(cls, resources: Mapping[str, Resource], before: ResourceSet | None = None) -> ResourceSet:
        """Compute the digests. Equal resources give equal digests, whether compiled or read from a file.

        A resource that is the same object in `before` keeps its digest without being hashed again.
        """
        known, hashed = (before.resources, before.digests) if before is not None else ({}, {})
        digests = {name: hashed[name] if known.get(name) is one else _digest(one) for name, one in resources.items()}
        return cls._with(resources, digests)

    def extended_by(self, newer: ResourceSet) -> ResourceSet:
        """Both together; where both have a name, the newer resource."""
        return ResourceSet._with({**self.resources, **newer.resources}, {**self.digests, **newer.digests})

    @classmethod
    def _with(cls, resources: Mapping[str, Resource], digests: Mapping[str, str]) -> ResourceSet:
        return cls(resources, digests, _digest(digests))


@dataclass(frozen=True, slots=True)
class DesiredResources:
    """A snapshot as one resource set per kind."""

    kinds: Mapping[Kind, ResourceSet]
    digest: str

    @classmethod
    def of(cls, snapshot: Snapshot, before: DesiredResources | None = None) -> DesiredResources:
        """Digest everything once, except what is the same as in `before`; planning then compares only digests."""
        resources: dict[Kind, Mapping[str, Resource]] = {
            "cds": snapshot.clusters,
            "lds": snapshot.listeners,
            "rds": snapshot.routes,
        }
        kinds = {
            kind: ResourceSet.of(found, before.kinds[kind] if before is not None else None)
            for kind, found in resources.items()
        }
        return cls(kinds, _digest({kind: content.digest for kind, content in kinds.items()}))


@dataclass(frozen=True, slots=True, order=True)
class UpdateOrder:
    """An update's position among those of its kind. Phases: a adds, b routes, c removes, r restores."""

    sequence: int
    phase: str = ""


NO_UPDATE = UpdateOrder(0)
"""Before every update."""


@dataclass(frozen=True, slots=True)
class Update:
    """A resource set as it is published, under a version that no other update has."""

    version: str
    content: ResourceSet

    @property
    def order(self) -> UpdateOrder:
        """Its position among the updates of its kind; it only ever rises."""
        return order_of(self.version)


def make_version(order: UpdateOrder, content: ResourceSet) -> str:
    """`12.a-0f3b...`: the sequence number, the phase, and the first 10 characters of the content's digest."""
    return f"{order.sequence}.{order.phase}-{content.digest[:10]}"


def order_of(version: str) -> UpdateOrder:
    """The order in a version; NO_UPDATE for a version that this code did not make."""
    found = _VERSION.fullmatch(version)
    return UpdateOrder(int(found[1]), found[2]) if found else NO_UPDATE


def _digest(value: Mapping[str, object]) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()
