"""Invariants over random histories of a route: users, operators, instances, gateways and crashes in any order.

Five thousand steps here, a hundred thousand by `make bench-invariants`.
"""

from __future__ import annotations

import json
from math import ceil
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fairlead.contracts.action import Action, ActionType, Outcome
from fairlead.contracts.answers import Pairs
from fairlead.contracts.revision import Cause, Phase, Revision, Verdict
from fairlead.contracts.route import TOTAL_WEIGHT, ShadowSpec, Step, Strategy, Timeouts, VersionRef, VersionSpec
from fairlead.rollout.policy.desired_instances import wanted_counts
from unit.rollout import weakened
from unit.rollout.simulated_platform import STEPS, Killed, Platform

VERSIONS = ("1.0.0", "1.1.0", "1.2.0")
versions = st.sampled_from(VERSIONS)
gateways = st.sampled_from(("e1", "e2"))


def share(revision: Revision, ref: VersionRef) -> int:
    """A version's weight under a revision."""
    table = revision.table
    if ref == table.candidate:
        return table.weight
    return TOTAL_WEIGHT - table.weight if ref == table.stable else 0


class Rollouts(RuleBasedStateMachine):
    """Random events in random order, with the engine dying at any write."""

    def __init__(self) -> None:
        super().__init__()
        self.platform = Platform()
        self.checked = 0
        self.deaths = 0
        self.is_over = False
        self.faults = 0
        """How many losses of one thing were tried on holding rollouts."""
        self.failed = 0

    @initialize(version=versions, instances=st.integers(1, 3))
    def begin(self, version: str, instances: int) -> None:
        """The first version has up to three instances, the others have one: often too few for the promotion."""
        self.platform.deploy(VERSIONS, version)
        first = self.platform.route.spec.versions[version].model_copy(update={"instances": instances})
        self.platform.change(versions={**self.platform.route.spec.versions, version: first})

    # The user

    @rule(version=versions)
    def release(self, version: str) -> None:
        if version in self.platform.route.spec.versions:
            self.platform.release(version)

    @rule(version=versions)
    def remove_or_add_a_version(self, version: str) -> None:
        spec = self.platform.route.spec
        if version == spec.target.version:
            return
        rest = {name: one for name, one in spec.versions.items() if name != version}
        added = {} if version in spec.versions else {version: VersionSpec(source=f"/m/{version}", artifact=version)}
        self.platform.change(versions=rest | added)

    @rule(version=versions, artifact=st.sampled_from(("a", "b")), instances=st.integers(1, 3))
    def edit_a_version(self, version: str, artifact: str, instances: int) -> None:
        spec = self.platform.route.spec
        if version in spec.versions:
            edited = VersionSpec(source=f"/m/{version}", artifact=artifact, instances=instances)
            self.platform.change(versions={**spec.versions, version: edited})

    @rule(weights=st.sampled_from(((500, 2500, 5000), (500, 5000), (2500,), (1000, 9000), ())), approval=st.booleans())
    def edit_the_steps(self, weights: tuple[int, ...], approval: bool) -> None:
        plan = tuple(Step(weight=weight, min_duration=20.0, approval=approval) for weight in weights)
        self.platform.change(strategy=self.platform.route.spec.strategy.model_copy(update={"steps": plan}))

    @rule(seconds=st.sampled_from((3.0, 4.0)))
    def edit_the_timeouts(self, seconds: float) -> None:
        self.platform.change(timeouts=Timeouts(request=seconds))

    # The operator

    @rule(kind=st.sampled_from(ActionType), data=st.data())
    def ask(self, kind: ActionType, data: st.DataObject) -> None:
        head = self.platform.store.head("iris")
        more: dict[str, Any] = {}
        if head is not None:
            more["attempt"] = data.draw(st.sampled_from((None, head.state.attempt, head.state.attempt + 1)))
        if head is not None and kind is ActionType.ROLLBACK:
            more["to_revision"] = data.draw(st.one_of(st.none(), st.integers(1, head.seq + 1)))
        if kind in (ActionType.ROLLBACK, ActionType.PROMOTE, ActionType.RETRY):
            more["even_if_down"] = data.draw(st.booleans())
        if kind is ActionType.PROMOTE:
            more["even_if_stable_serves"] = data.draw(st.booleans())
        if kind is ActionType.PAUSE:
            more["pause_for"] = data.draw(st.sampled_from((None, 5.0, 600.0)))
        self.platform.ask(kind, **more)

    # The platform

    @rule(names=st.lists(gateways, unique=True, min_size=1))
    def acknowledge(self, names: list[str]) -> None:
        self.platform.acknowledge(*(name for name in names if name not in self.platform.unreachable))

    @rule(name=gateways)
    def a_gateway_becomes_unreachable_or_reachable(self, name: str) -> None:
        self.platform.unreachable ^= {name}

    @rule(ready=st.booleans())
    def supervise(self, ready: bool) -> None:
        self.platform.supervise(ready=ready)

    @rule(data=st.data(), ready=st.booleans())
    def instances_come_and_go(self, data: st.DataObject, ready: bool) -> None:
        refs = sorted({row.ref for row in self.platform.store.wanted()}, key=lambda ref: (ref.version, ref.identity))
        if refs:
            self.platform.turn(data.draw(st.sampled_from(refs)), ready=ready)

    @rule(data=st.data(), ready=st.booleans())
    def one_instance_comes_or_goes(self, data: st.DataObject, ready: bool) -> None:
        refs = sorted({row.ref for row in self.platform.store.wanted()}, key=lambda ref: (ref.version, ref.identity))
        if refs:
            self.platform.turn_one(data.draw(st.sampled_from(refs)), ready=ready)

    @rule(version=versions)
    def golden_rows_fail_or_pass_again(self, version: str) -> None:
        if version in self.platform.route.spec.versions:
            self.platform.bad ^= {self.platform.ref(version)}

    @rule(n=st.integers(1, 200), bad=st.sampled_from((0.0, 0.0, 0.02, 0.5)))
    def users_ask(self, n: int, bad: float) -> None:
        """Stable answers nine times as many, all of them well."""
        head = self.platform.store.head("iris")
        if head is None or not head.table.weight or head.table.candidate is None:
            return
        failed = round(n * bad)
        self.failed += failed
        self.platform.serve(head.table.candidate, ok=n - failed, bad=failed)
        self.platform.serve(head.table.stable, ok=9 * n)

    @rule()
    def everything_works_for_a_while(self) -> None:
        for _ in range(4):
            self.tick(6.0)
            self.platform.supervise()
            if not self.platform.unreachable:
                self.platform.acknowledge()

    # The engine

    @rule(seconds=st.sampled_from((0.0, 1.0, 5.0, 25.0, 700.0)))
    def tick(self, seconds: float) -> None:
        self.platform.wait(seconds)
        before = self.platform.route
        pending = self.platform.store.actions("iris", outcome=Outcome.PENDING)
        try:
            self.platform.engine.tick()
        except Killed:
            self.deaths += 1
            self.restart()
            self.check_revisions()
            self.check_no_fault_makes_a_rise_easier()
            return
        finally:
            self.platform.store.disarm()
        self.check_revisions()
        self.check_no_fault_makes_a_rise_easier()
        self.check_answered(pending)
        self.check_no_serving_version_is_stopped()
        assert self.platform.route == before, "the engine wrote into the spec"

    @rule(writes=st.integers(0, 12), done=st.booleans(), seconds=st.sampled_from((0.0, 5.0, 25.0)))
    def tick_and_die(self, writes: int, done: bool, seconds: float) -> None:
        self.platform.store.arm(writes, done=done)
        self.tick(seconds)

    def restart(self) -> None:
        self.platform.engine = self.platform.started()

    @precondition(lambda self: self.platform.store.head("iris") is not None)
    @rule()
    def another_engine_ticks_too(self) -> None:
        other = self.platform.started()
        other.tick()
        self.check_revisions()

    # Checks after every append, in the state in which it was decided

    def check_revisions(self) -> None:
        revisions = self.platform.store.revisions("iris")
        for revision in revisions[self.checked :]:
            before = revisions[revision.seq - 2] if revision.seq > 1 else None
            self.check_revision(before, revision)
        self.checked = len(revisions)

    def check_revision(self, before: Revision | None, revision: Revision) -> None:
        if before is None:
            assert revision.cause is Cause.CREATED
            assert self.platform.ready(revision.table.stable)
            return
        action = self.platform.store.action(revision.action) if revision.action else None
        self.check_nobody_moved_onto_nothing(before, revision, action)
        if action is not None and action.type is ActionType.PROMOTE:
            assert action.even_if_stable_serves or not self.platform.ready(before.table.stable)
            assert action.even_if_down or self.platform.ready(revision.table.stable)
            assert (revision.cause, revision.table.stable) == (Cause.PROMOTED, before.state.target)
            return
        candidate = revision.table.candidate or (revision.table.stable if revision.cause is Cause.PROMOTED else None)
        if candidate is not None and share(revision, candidate) > share(before, candidate):
            self.check_rise(before, revision, candidate)
        stable = revision.table.stable
        if stable != before.table.stable and revision.cause is not Cause.PROMOTED:
            assert revision.cause is Cause.ROLLED_BACK
            assert action
            assert action.even_if_down or self.platform.ready(stable), "rolled back onto nothing"
        if revision.cause is Cause.ROLLED_BACK and ": errors:" in revision.reason:
            assert self.failed, "evidence against a candidate that never failed"
        if before.state.paused and revision.cause in (Cause.STEP, Cause.PROMOTED):
            raise AssertionError("a paused rollout went on")
        assert revision.state.attempt == before.state.attempt + (revision.cause is Cause.RELEASED)
        assert revision.table.attempt == revision.state.attempt

    def check_rise(self, before: Revision, revision: Revision, ref: VersionRef) -> None:
        assert revision.cause in (Cause.STEP, Cause.PROMOTED)
        assert {check.verdict for check in revision.evidence} == {Verdict.PASS}
        answering = [name for name in self.platform.programmed if name not in self.platform.unreachable]
        assert answering
        assert all(self.platform.programmed[name] >= before.seq for name in answering)
        wanted = wanted_counts(self.platform.route, self.platform.store.wanted()).get(before.table.stable, 0)
        need = max(1, ceil(share(revision, ref) * wanted / TOTAL_WEIGHT))
        assert self.platform.ready(ref) >= need
        assert ref not in {one.ref for one in before.state.rejected}
        assert before.state.phase is not Phase.STABLE
        plan = self.released_with(before.state.attempt).steps
        passed = [index for index, step in enumerate(plan) if step.weight <= share(before, ref)]
        if passed and plan[passed[-1]].approval:
            assert before.state.approved >= passed[-1], "it rose without the approval that it was released with"
        if before.state.phase is Phase.PREPARING:
            assert ref in self.platform.asked
            assert ref not in self.platform.bad

    def released_with(self, attempt: int) -> Strategy:
        """The strategy that the ledger has for the beginning of this attempt."""
        begins = (one for one in self.platform.store.revisions("iris") if one.cause is Cause.RELEASED)
        settings = next(one.settings for one in begins if one.state.attempt == attempt)
        return Strategy.model_validate(json.loads(settings).get("strategy", {}))

    def check_nobody_moved_onto_nothing(self, before: Revision, revision: Revision, action: Action | None) -> None:
        if action is not None and action.even_if_down:
            return
        tables = (before.table, revision.table)
        parties = {ref for table in tables for ref in (table.stable, table.candidate) if ref is not None}
        change = {ref: share(revision, ref) - share(before, ref) for ref in parties}
        left = [ref for ref in parties if change[ref] < 0 and self.platform.ready(ref)]
        onto = [ref for ref in parties if change[ref] > 0 and not self.platform.ready(ref)]
        assert not (left and onto), f"users were moved from {left}, which answers, to {onto}, which does not"

    def check_no_fault_makes_a_rise_easier(self) -> None:
        """Without an instance, a gateway, a counter or a reading, each decision that held would still have held."""
        for decided in () if self.is_over else self.platform.decided:
            self.faults += weakened.check(*decided)
        self.platform.decided.clear()

    def check_answered(self, pending: list[Action]) -> None:
        """One tick finishes all actions from before it, up to the number of revisions of one tick."""
        left = self.platform.store.actions("iris", outcome=Outcome.PENDING)
        assert len(left) <= max(0, len(pending) - 6)
        rollbacks = [action for action in left if action.type is ActionType.ROLLBACK]
        assert rollbacks == [] or len(pending) > 6

    def check_no_serving_version_is_stopped(self) -> None:
        wanted = {row.ref for row in self.platform.store.wanted()}
        for seq in self.platform.programmed.values():
            if seq:
                table = self.platform.store.revision("iris", seq).table
                assert table.stable in wanted
                assert not table.weight or table.candidate in wanted

    @invariant()
    def a_step_is_one_of_the_plan(self) -> None:
        step = (self.platform.store.status("iris") or {}).get("step")
        assert not isinstance(step, dict) or step["number"] <= step["of"]

    @invariant()
    def the_chain_holds(self) -> None:
        assert self.platform.store.verify("iris") is None

    @invariant()
    def every_action_is_carried_out_at_most_once(self) -> None:
        named = [one.action for one in self.platform.store.revisions("iris") if one.action]
        assert len(named) == len(set(named))
        for action in self.platform.store.actions("iris"):
            if action.outcome is Outcome.ACCEPTED:
                assert self.platform.store.revision("iris", action.revision or 0).action == action.name
            elif action.outcome is not Outcome.PENDING:
                assert action.name not in named

    def teardown(self) -> None:
        """No state is stuck: when everything works, the rollout ends."""
        if not hasattr(self, "platform") or not self.platform.store.routes():
            return
        self.is_over = True
        self.platform.unreachable.clear()
        self.platform.bad.clear()
        # A candidate with fewer instances than stable waits for its owner, and reports that.
        versions = self.platform.route.spec.versions
        self.platform.change(versions={name: one.model_copy(update={"instances": 3}) for name, one in versions.items()})
        for _ in range(40):
            self.tick(6.0)
            self.platform.supervise()
            self.platform.acknowledge()
            head = self.platform.store.head("iris")
            if head is not None and head.state.paused:
                self.platform.ask(ActionType.RESUME)
            elif head is not None and head.state.phase is Phase.CANARY:
                self.platform.ask(ActionType.APPROVE)
            self.help_along()
        head, wanted = self.platform.head, self.platform.route.spec.target_ref
        assert head.state.phase is Phase.STABLE, self.platform.store.status("iris")
        assert head.table.stable == wanted or wanted in {one.ref for one in head.state.rejected}
        assert head.table.weight == 0
        self.check_rest()
        self.platform.store.close()

    def help_along(self) -> None:
        """Add other things that a rollout waits for."""

    def check_rest(self) -> None:
        before = self.platform.head
        self.platform.tick(1)
        assert self.platform.head == before


class ShadowedRollouts(Rollouts):
    """The same, but every candidate first answers mirrored requests, with stable's answers or with others."""

    MIN_PAIRS = 20

    def __init__(self) -> None:
        super().__init__()
        self.said = 0
        self.refused = 0
        self.read_from = 0
        """The index of the first answer since this engine was started."""

    @initialize(version=versions, instances=st.integers(1, 3))
    def begin(self, version: str, instances: int) -> None:
        del instances  # one each: a shadow of all requests needs as many instances as stable has
        shadow = ShadowSpec(min_duration=10.0, min_pairs=self.MIN_PAIRS)
        self.platform.deploy(VERSIONS, version, strategy=Strategy(steps=STEPS, min_requests=0, shadow=shadow))
        # Most random histories would not reach a shadow by chance.
        self.everything_works_for_a_while()
        self.release(next(one for one in VERSIONS if one != version))
        self.everything_works_for_a_while()

    @rule(n=st.integers(1, 30), label=st.sampled_from(("a", "a", "b")))
    def mirrored_requests_are_answered(self, n: int, label: str) -> None:
        head = self.platform.store.head("iris")
        for one in head.table.mirrors if head is not None else ():
            self.said += n
            self.platform.mirror(head.table.stable, one.version, n, label=label)  # type: ignore[union-attr]

    @rule(n=st.integers(1, 30))
    def services_repeat_answers(self, n: int) -> None:
        """Repeated ids are no pairs. Answers from before the engine's start are not repeated."""
        self.platform.answers.extend(self.platform.answers[self.read_from :][-2 * n :])

    def restart(self) -> None:
        super().restart()
        self.read_from = len(self.platform.answers)

    def check_revision(self, before: Revision | None, revision: Revision) -> None:
        super().check_revision(before, revision)
        if before is None:
            return
        refused = {one.ref for one in before.state.rejected} & {one.ref for one in revision.state.rejected}
        assert not refused & {one.version for one in revision.table.mirrors}, (
            "a rejected version gets mirrored requests again"
        )
        if revision.cause is Cause.RELEASED and revision.state.target in {one.ref for one in before.state.rejected}:
            assert revision.action or revision.generation != before.generation, "no user retried it"
        if revision.cause is Cause.ROLLED_BACK and ": agreement:" in revision.reason:
            self.refused += 1
            assert before.state.phase in (Phase.SHADOWING, Phase.CANARY)
            assert counted(self.platform, revision.state.attempt).differ, "rejected although it never disagreed"

    def check_rise(self, before: Revision, revision: Revision, ref: VersionRef) -> None:
        super().check_rise(before, revision, ref)
        if before.table.weight:
            return
        assert before.state.phase is Phase.SHADOWING, "a weight without a shadow before it"
        (check,) = [one for one in revision.evidence if one.gate == "agreement"]
        pairs = counted(self.platform, revision.state.attempt)
        assert (check.numbers["pairs"], check.numbers["differ"]) == (pairs.n, pairs.differ)
        assert pairs.n >= self.MIN_PAIRS
        assert pairs.differ < pairs.n, "none of its answers was the same"

    @invariant()
    def no_pair_is_counted_twice(self) -> None:
        assert counted(self.platform).n <= self.said

    def help_along(self) -> None:
        self.mirrored_requests_are_answered(self.MIN_PAIRS, "a")


def counted(platform: Platform, attempt: int | None = None) -> Pairs:
    """The pairs in the ledger: of one attempt up to its newest revision, or of all with the newest windows."""
    revisions = platform.store.revisions("iris")
    ended = [one for one in revisions if one.cause is not Cause.RELEASED and one.state.attempt == attempt]
    windows = [window for one in (revisions if attempt is None else ended) for window in one.windows]
    total = Pairs()
    for window in windows if attempt is not None else (*windows, *platform.store.windows("iris")):
        total = total.plus(window.pairs)
    return total


ShadowedRollouts.TestCase.settings = settings(
    max_examples=20,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
# Long enough to shrink a failing history: forty steps are too many to read.
TestShadowedRollouts = pytest.mark.timeout(400)(ShadowedRollouts.TestCase)
Rollouts.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestRollouts = pytest.mark.timeout(400)(Rollouts.TestCase)
