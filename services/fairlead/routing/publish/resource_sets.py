"""Resources with their digests, so that "is it the same" is one comparison of two short strings."""

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
class Content:
    """The resources of one kind. `digests` has one digest for each, `digest` one for all."""

    resources: Mapping[str, Resource]
    digests: Mapping[str, str]
    digest: str

    @cached_property
    def named(self) -> frozenset[str]:
        """The clusters that route configurations name. Read once: routes are by far the most of what there is."""
        return named_by_routes(self.resources.values())

    @classmethod
    def of(cls, resources: Mapping[str, Resource], before: Content | None = None) -> Content:
        """The same resources give the same digests, whether they were compiled or read from a file.

        What is the very object that `before` holds is not read again.
        """
        known, told = (before.resources, before.digests) if before is not None else ({}, {})
        digests = {name: told[name] if known.get(name) is one else _digest(one) for name, one in resources.items()}
        return cls._with(resources, digests)

    def extended_by(self, newer: Content) -> Content:
        """Both together; where both have a name, the newer resource."""
        return Content._with({**self.resources, **newer.resources}, {**self.digests, **newer.digests})

    @classmethod
    def _with(cls, resources: Mapping[str, Resource], digests: Mapping[str, str]) -> Content:
        return cls(resources, digests, _digest(digests))


@dataclass(frozen=True, slots=True)
class Desired:
    """A snapshot, kind by kind."""

    kinds: Mapping[Kind, Content]
    digest: str

    @classmethod
    def of(cls, snapshot: Snapshot, before: Desired | None = None) -> Desired:
        """Digests everything once, and of it only what differs from `before`; planning then compares digests only."""
        resources: dict[Kind, Mapping[str, Resource]] = {
            "cds": snapshot.clusters,
            "lds": snapshot.listeners,
            "rds": snapshot.routes,
        }
        kinds = {
            kind: Content.of(found, before.kinds[kind] if before is not None else None)
            for kind, found in resources.items()
        }
        return cls(kinds, _digest({kind: content.digest for kind, content in kinds.items()}))


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


def _digest(value: Mapping[str, object]) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()
