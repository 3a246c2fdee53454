"""Index of the ledgers from the metadata of revision objects: order, hashes, and when each revision was in force."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fairlead.contracts import labels
from fairlead.contracts.revision import Cause
from fairlead.store.kubernetes.kinds import Object, annotation, label, name_of

MILESTONES = (Cause.CREATED, Cause.PROMOTED)
"""The causes of revisions that pruning keeps."""


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One revision, from its object's metadata. Only the revision itself proves its hash."""

    seq: int
    seal: str
    served_at: str
    milestone: bool
    owner: str
    """The uid of the route it belongs to; empty if the route was deleted and its ledger stayed."""


class Index:
    """The entries of these objects. Entries are reused from the index `before`, so only new objects are parsed."""

    def __init__(self, objects: Sequence[Object] = (), before: Index | None = None) -> None:
        self.objects = objects
        known = {} if before is None else before._known
        # Keyed by id(): the old index keeps its objects alive, so no other object can have the same id.
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
        """All entries with this route's name, ascending, with any owner."""
        return self._entries.get(route, ())

    def owned(self, route: str, uid: str) -> tuple[Entry, ...]:
        """The entries owned by the route with this uid, or without an owner."""
        known = self._owned.get(route)
        if known is None or known[0] != uid:
            known = (uid, tuple(entry for entry in self.entries(route) if entry.owner in ("", uid)))
            self._owned[route] = known
        return known[1]


def _read(one: Object) -> tuple[str, Entry | None]:
    """The route and the entry. An object whose name is not `<route>-<seq>` is not a revision."""
    route = label(one, labels.ROUTE)
    prefix, _, number = name_of(one).rpartition("-")
    if not route or prefix != route or not number.isdigit() or number.startswith("0"):
        return route, None
    owners = one["metadata"].get("ownerReferences") or ()
    owner = next((str(owner.get("uid")) for owner in owners if owner.get("kind") == "ModelRoute"), "")
    milestone = label(one, labels.CAUSE) in MILESTONES
    return route, Entry(int(number), annotation(one, labels.SEAL), annotation(one, labels.SERVED_AT), milestone, owner)


def in_force(entries: Sequence[Entry], moment: datetime) -> Entry | None:
    """The entry that was in force at that time; None before the first."""
    times = [datetime.fromisoformat(entry.served_at) for entry in entries]
    at = bisect_right(times, moment)
    return entries[at - 1] if at else None
