"""What can be told of a ledger from the metadata of its revisions: their order, their hashes and when they served."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fairlead.contracts import labels
from fairlead.contracts.revision import Cause
from fairlead.store.kubernetes.kinds import Object, annotation, label, name_of

MILESTONES = (Cause.CREATED, Cause.PROMOTED)
"""What outlives pruning."""


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One revision, as its object's metadata tells of it. The revision itself is the proof."""

    seq: int
    seal: str
    served_at: str
    milestone: bool
    owner: str
    """The uid of the route it belongs to; empty when that was deleted and left its ledger."""


class Index:
    """The entries in these objects. One more revision is read for one more, however many the one `before` knew."""

    def __init__(self, objects: Sequence[Object] = (), before: Index | None = None) -> None:
        self.objects = objects
        known = {} if before is None else before._known
        # By identity: the one whose address is known is here still, so no other object can have that address.
        self._known: dict[int, tuple[Object, str, Entry | None]] = {
            id(one): known.get(id(one)) or (one, *_read(one)) for one in objects
        }
        found: dict[str, list[Entry]] = {}
        for _, route, entry in self._known.values():
            if entry is not None:
                found.setdefault(route, []).append(entry)
        self._entries = {route: tuple(sorted(entries)) for route, entries in found.items()}
        self._owned: dict[str, tuple[str, tuple[Entry, ...]]] = {}

    def entries(self, route: str) -> tuple[Entry, ...]:
        """A route's, ascending, whoever owns them."""
        return self._entries.get(route, ())

    def owned(self, route: str, uid: str) -> tuple[Entry, ...]:
        """Those that belong to the route with this uid, or to none."""
        known = self._owned.get(route)
        if known is None or known[0] != uid:
            known = (uid, tuple(entry for entry in self.entries(route) if entry.owner in ("", uid)))
            self._owned[route] = known
        return known[1]


def _read(one: Object) -> tuple[str, Entry | None]:
    """The route and the entry. An object whose name is not of our making is not a revision."""
    route = label(one, labels.ROUTE)
    prefix, _, number = name_of(one).rpartition("-")
    if not route or prefix != route or not number.isdigit() or number.startswith("0"):
        return route, None
    owners = one["metadata"].get("ownerReferences") or ()
    owner = next((str(owner.get("uid")) for owner in owners if owner.get("kind") == "ModelRoute"), "")
    milestone = label(one, labels.CAUSE) in MILESTONES
    return route, Entry(int(number), annotation(one, labels.SEAL), annotation(one, labels.SERVED_AT), milestone, owner)


def in_force(entries: Sequence[Entry], moment: datetime) -> Entry | None:
    """The entry that served then; None before the first."""
    times = [datetime.fromisoformat(entry.served_at) for entry in entries]
    at = bisect_right(times, moment)
    return entries[at - 1] if at else None
