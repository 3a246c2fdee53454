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


def index(objects: Sequence[Object]) -> dict[str, tuple[Entry, ...]]:
    """Route -> its entries, ascending. An object whose name is not of our making is not a revision."""
    found: dict[str, list[Entry]] = {}
    for one in objects:
        route = label(one, labels.ROUTE)
        prefix, _, number = name_of(one).rpartition("-")
        if not route or prefix != route or not number.isdigit() or number.startswith("0"):
            continue
        owners = one["metadata"].get("ownerReferences") or ()
        entry = Entry(
            int(number),
            annotation(one, labels.SEAL),
            annotation(one, labels.SERVED_AT),
            label(one, labels.CAUSE) in MILESTONES,
            next((str(owner.get("uid")) for owner in owners if owner.get("kind") == "ModelRoute"), ""),
        )
        found.setdefault(route, []).append(entry)
    return {route: tuple(sorted(entries)) for route, entries in found.items()}


def in_force(entries: Sequence[Entry], moment: datetime) -> Entry | None:
    """The entry that served then; None before the first."""
    times = [datetime.fromisoformat(entry.served_at) for entry in entries]
    at = bisect_right(times, moment)
    return entries[at - 1] if at else None
