"""The publication: what gateways may get now, as one document that every replica of the control plane reads.

Only the leader writes it, before any gateway sees it; every replica serves its bytes unchanged. So two replicas cannot
send different resources under one version, and a replica that starts knows what gateways may already have taken.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from fairlead.errors import Invalid
from fairlead.routing.publish.resource_sets import Kind, ResourceSet, Update, UpdateOrder, order_of

MAX_REJECTIONS = 16


@dataclass(frozen=True, slots=True)
class EncodedUpdate:
    """An update of one kind as gateways get it: its version, and its resources as the JSON array of the response."""

    version: str
    resources: bytes
    compressed: bytes = field(repr=False, compare=False)
    """The resources as they are stored. Compressed once: a change of weight leaves the clusters unchanged."""

    @property
    def order(self) -> UpdateOrder:
        """Its position among the updates of its kind; it only ever rises."""
        return order_of(self.version)

    @classmethod
    def of(cls, update: Update) -> EncodedUpdate:
        """Encode an update, once for all gateways."""
        content = update.content.resources
        resources = orjson.dumps([content[name] for name in sorted(content)])
        # No modification time in the archive: the same resources give the same bytes.
        return cls(update.version, resources, gzip.compress(resources, compresslevel=3, mtime=0))

    @classmethod
    def from_compressed(cls, version: str, compressed: bytes) -> EncodedUpdate:
        """Read stored resources. Raises OSError, EOFError or zlib.error for bytes that are no archive."""
        return cls(version, gzip.decompress(compressed), compressed)

    def decoded(self) -> Update:
        """The update again, for the planner of a new leader."""
        return Update(self.version, ResourceSet.of({one["name"]: one for one in orjson.loads(self.resources)}))


@dataclass(frozen=True, slots=True)
class Publication:
    """What one leader hands to the next. `good` is what gateways last acknowledged, where it differs from `kinds`."""

    kinds: Mapping[Kind, EncodedUpdate]
    good: Mapping[Kind, EncodedUpdate] = field(default_factory=dict)
    rejected: Mapping[tuple[Kind, str], Mapping[str, str]] = field(default_factory=dict)
    """By kind and digest of the content: the reason of each gateway that rejected it."""
    revisions: Mapping[str, int] = field(default_factory=dict)
    """The revisions that the routes are made of, so that a reader need not decode the routes."""

    @property
    def sequence(self) -> int:
        """The highest sequence number in use."""
        return max((one.order.sequence for kinds in (self.kinds, self.good) for one in kinds.values()), default=0)

    def to_parts(self) -> dict[str, bytes]:
        """As named parts: `head`, and an archive for each kind."""
        head = {
            "kinds": {kind: update.version for kind, update in self.kinds.items()},
            "good": {kind: update.version for kind, update in self.good.items()},
            "refused": [[*key, dict(reasons)] for key, reasons in self.rejected.items()][-MAX_REJECTIONS:],
            "revisions": dict(self.revisions),
        }
        parts = {"head": json.dumps(head, sort_keys=True).encode()}
        parts.update((kind, update.compressed) for kind, update in self.kinds.items())
        parts.update((f"good-{kind}", update.compressed) for kind, update in self.good.items())
        return parts

    @classmethod
    def from_parts(cls, parts: Mapping[str, bytes]) -> Publication:
        """Raises Invalid for parts that are not a publication."""
        try:
            head: dict[str, Any] = json.loads(parts["head"])
            decode = EncodedUpdate.from_compressed
            return cls(
                kinds={kind: decode(version, parts[kind]) for kind, version in head["kinds"].items()},
                good={kind: decode(version, parts[f"good-{kind}"]) for kind, version in head["good"].items()},
                rejected={(kind, digest): reasons for kind, digest, reasons in head["refused"]},
                revisions=head["revisions"],
            )
        except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Invalid(f"the stored publication cannot be read: {error!r}") from error


class Publications(Protocol):
    """Where the publication is stored: one store for all replicas."""

    def token(self) -> object:
        """Changes with every save() of any replica. Cheap: called on every turn of the loop. Never raises."""
        ...

    def load(self) -> Publication | None:
        """The stored publication; None when there is none. Raises Unavailable when the store cannot be read."""
        ...

    def save(self, publication: Publication) -> None:
        """Replace the publication that the last load() or save() of this object saw.

        Raises Conflict when another leader saved since (then nothing was written), Unavailable when the outcome is not
        known to be a success.
        """
        ...
