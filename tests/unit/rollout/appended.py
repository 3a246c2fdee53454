"""What must hold for every revision that the engine appends, in the state of the platform in which it was decided."""

from __future__ import annotations

import json
from math import ceil

from fairlead.contracts.action import Action, ActionType
from fairlead.contracts.revision import Cause, Phase, Revision, Verdict
from fairlead.contracts.route import TOTAL_WEIGHT, Strategy, VersionRef
from fairlead.rollout.policy.desired_instances import wanted_counts
from unit.rollout.simulated_platform import Platform


def share(revision: Revision, ref: VersionRef) -> int:
    """A version's weight under a revision."""
    table = revision.table
    if ref == table.candidate:
        return table.weight
    return TOTAL_WEIGHT - table.weight if ref == table.stable else 0


class Appended:
    """The ledger of one platform. Each method raises AssertionError where a revision breaks a rule."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self.checked = 0
        self.failed = 0
        """How many requests a candidate has failed: who asks on behalf of the users adds them."""

    def check_new(self) -> None:
        revisions = self._platform.store.revisions("iris")
        for revision in revisions[self.checked :]:
            before = revisions[revision.seq - 2] if revision.seq > 1 else None
            self.check(before, revision)
        self.checked = len(revisions)

    def check(self, before: Revision | None, revision: Revision) -> None:
        if before is None:
            assert revision.cause is Cause.CREATED
            assert self._platform.ready(revision.table.stable)
            return
        action = self._platform.store.action(revision.action) if revision.action else None
        self._check_nobody_moved_onto_nothing(before, revision, action)
        if action is not None and action.type is ActionType.PROMOTE:
            assert action.even_if_stable_serves or not self._platform.ready(before.table.stable)
            assert action.even_if_down or self._platform.ready(revision.table.stable)
            assert (revision.cause, revision.table.stable) == (Cause.PROMOTED, before.state.target)
            return
        candidate = revision.table.candidate or (revision.table.stable if revision.cause is Cause.PROMOTED else None)
        if candidate is not None and share(revision, candidate) > share(before, candidate):
            self.check_rise(before, revision, candidate)
        stable = revision.table.stable
        if stable != before.table.stable and revision.cause is not Cause.PROMOTED:
            assert revision.cause is Cause.ROLLED_BACK
            assert action
            assert action.even_if_down or self._platform.ready(stable), "rolled back onto nothing"
        if revision.cause is Cause.ROLLED_BACK and ": errors:" in revision.reason:
            assert self.failed, "evidence against a candidate that never failed"
        if before.state.paused and revision.cause in (Cause.STEP, Cause.PROMOTED):
            raise AssertionError("a paused rollout went on")
        assert revision.state.attempt == before.state.attempt + (revision.cause is Cause.RELEASED)
        assert revision.table.attempt == revision.state.attempt

    def check_rise(self, before: Revision, revision: Revision, ref: VersionRef) -> None:
        assert revision.cause in (Cause.STEP, Cause.PROMOTED)
        assert {check.verdict for check in revision.evidence} == {Verdict.PASS}
        answering = [name for name in self._platform.programmed if name not in self._platform.unreachable]
        assert answering
        assert all(self._platform.programmed[name] >= before.seq for name in answering)
        wanted = wanted_counts(self._platform.route, self._platform.store.wanted()).get(before.table.stable, 0)
        need = max(1, ceil(share(revision, ref) * wanted / TOTAL_WEIGHT))
        assert self._platform.ready(ref) >= need
        assert ref not in {one.ref for one in before.state.rejected}
        assert before.state.phase is not Phase.STABLE
        plan = self._released_with(before.state.attempt).steps
        passed = [index for index, step in enumerate(plan) if step.weight <= share(before, ref)]
        if passed and plan[passed[-1]].approval:
            assert before.state.approved >= passed[-1], "it rose without the approval that it was released with"
        if before.state.phase is Phase.PREPARING:
            assert ref in self._platform.asked
            assert ref not in self._platform.bad

    def _released_with(self, attempt: int) -> Strategy:
        """The strategy that the ledger has for the beginning of this attempt."""
        begins = (one for one in self._platform.store.revisions("iris") if one.cause is Cause.RELEASED)
        settings = next(one.settings for one in begins if one.state.attempt == attempt)
        return Strategy.model_validate(json.loads(settings).get("strategy", {}))

    def _check_nobody_moved_onto_nothing(self, before: Revision, revision: Revision, action: Action | None) -> None:
        if action is not None and action.even_if_down:
            return
        tables = (before.table, revision.table)
        parties = {ref for table in tables for ref in (table.stable, table.candidate) if ref is not None}
        change = {ref: share(revision, ref) - share(before, ref) for ref in parties}
        left = [ref for ref in parties if change[ref] < 0 and self._platform.ready(ref)]
        onto = [ref for ref in parties if change[ref] > 0 and not self._platform.ready(ref)]
        assert not (left and onto), f"users were moved from {left}, which answers, to {onto}, which does not"
