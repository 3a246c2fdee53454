"""The publication: what gateways may be given now, as one document that every replica of the control plane reads.

Only the leader writes it, before any gateway sees it; every replica serves its bytes as they are. So two replicas
cannot answer differently under one version, and a replica that starts knows what gateways may already have taken.
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
from fairlead.routing.publish.resource_sets import Content, Kind, Order, Written, order_of

REMEMBERED_REFUSALS = 16


@dataclass(frozen=True, slots=True)
class Shown:
    """One kind as gateways get it: its version, and its resources as the JSON array they are sent in."""

    version: str
    resources: bytes
    packed: bytes = field(repr=False, compare=False)
    """The resources compressed, as they are kept: made once, because a change of weight leaves the clusters alone."""

    @property
    def order(self) -> Order:
        """What never goes back."""
        return order_of(self.version)

    @classmethod
    def of(cls, written: Written) -> Shown:
        """Written content, encoded once for everybody."""
        content = written.content.resources
        resources = orjson.dumps([content[name] for name in sorted(content)])
        # No time in the archive: the same resources are the same bytes.
        return cls(written.version, resources, gzip.compress(resources, compresslevel=3, mtime=0))

    @classmethod
    def unpacked(cls, version: str, packed: bytes) -> Shown:
        """As it was kept. Raises OSError, EOFError or zlib.error for bytes that are no archive."""
        return cls(version, gzip.decompress(packed), packed)

    def written(self) -> Written:
        """The content again, for the planner of whoever takes over."""
        return Written(self.version, Content.of({one["name"]: one for one in orjson.loads(self.resources)}))


@dataclass(frozen=True, slots=True)
class Publication:
    """Everything there is to hand on. `good` holds what gateways last acknowledged, where that is something else."""

    kinds: Mapping[Kind, Shown]
    good: Mapping[Kind, Shown] = field(default_factory=dict)
    refused: Mapping[tuple[Kind, str], Mapping[str, str]] = field(default_factory=dict)
    revisions: Mapping[str, int] = field(default_factory=dict)
    """The revisions that the routes are made of: told without reading them."""

    @property
    def sequence(self) -> int:
        """The highest number in use."""
        return max((one.order.sequence for kinds in (self.kinds, self.good) for one in kinds.values()), default=0)

    def to_parts(self) -> dict[str, bytes]:
        """As named pieces: `head`, and an archive for each kind."""
        head = {
            "kinds": {kind: shown.version for kind, shown in self.kinds.items()},
            "good": {kind: shown.version for kind, shown in self.good.items()},
            "refused": [[*key, dict(said)] for key, said in self.refused.items()][-REMEMBERED_REFUSALS:],
            "revisions": dict(self.revisions),
        }
        parts = {"head": json.dumps(head, sort_keys=True).encode()}
        parts.update((kind, shown.packed) for kind, shown in self.kinds.items())
        parts.update((f"good-{kind}", shown.packed) for kind, shown in self.good.items())
        return parts

    @classmethod
    def from_parts(cls, parts: Mapping[str, bytes]) -> Publication:
        """Raises Invalid for pieces that are no publication."""
        try:
            head: dict[str, Any] = json.loads(parts["head"])
            return cls(
                kinds={kind: Shown.unpacked(version, parts[kind]) for kind, version in head["kinds"].items()},
                good={kind: Shown.unpacked(version, parts[f"good-{kind}"]) for kind, version in head["good"].items()},
                refused={(kind, digest): said for kind, digest, said in head["refused"]},
                revisions=head["revisions"],
            )
        except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Invalid(f"the stored publication cannot be read: {error!r}") from error


class Publications(Protocol):
    """Where the publication is kept: one for all replicas."""

    def token(self) -> object:
        """Differs from the last one when somebody wrote. Cheap: asked every turn. Never raises."""
        ...

    def load(self) -> Publication | None:
        """What is published; None when nothing ever was. Raises Unavailable when that cannot be said."""
        ...

    def save(self, publication: Publication) -> None:
        """Replace what the last load() or save() of this object saw.

        Raises Conflict when somebody else wrote since (another leader: nothing was written), Unavailable when the
        outcome is not known to be a success.
        """
        ...
