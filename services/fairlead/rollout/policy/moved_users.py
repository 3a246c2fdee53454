"""The rule that nobody is moved onto what does not answer."""

from __future__ import annotations

from fairlead.contracts.route import TOTAL_WEIGHT, VersionRef
from fairlead.contracts.table import Table
from fairlead.rollout.policy.situation import Situation


def onto_nothing(situation: Situation, after: Table) -> VersionRef | None:
    """The version without a ready instance to which `after` moves users of a version that has one, or None.

    Where no version that loses users answers, nobody is worse off, so such a move is allowed.
    """
    before = situation.head.table
    parties = [ref for ref in (before.stable, before.candidate, after.stable, after.candidate) if ref is not None]
    gained = {ref: _share(after, ref) - _share(before, ref) for ref in parties}
    if not any(change < 0 and situation.ready(ref) for ref, change in gained.items()):
        return None
    return next((ref for ref, change in gained.items() if change > 0 and not situation.ready(ref)), None)


def _share(table: Table, ref: VersionRef) -> int:
    """How many of 10,000 requests a version gets."""
    stable = TOTAL_WEIGHT - table.weight if ref == table.stable else 0
    return stable + (table.weight if ref == table.candidate else 0)
