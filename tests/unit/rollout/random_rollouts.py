"""Random histories of a route, with their invariants: users, operators, instances, gateways, crashes in any order."""

from __future__ import annotations

from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fairlead.contracts.action import Action, ActionType, Outcome
from fairlead.contracts.revision import Phase
from fairlead.contracts.route import TOTAL_WEIGHT, Step, Timeouts, VersionSpec
from unit.rollout import weakened
from unit.rollout.appended import Appended
from unit.rollout.crashing_store import Killed
from unit.rollout.simulated_platform import Platform

VERSIONS = ("1.0.0", "1.1.0", "1.2.0")
versions = st.sampled_from(VERSIONS)
gateways = st.sampled_from(("e1", "e2"))
MOST_IGNORED = 2.0
"""The logarithm of evidence that no gate of these rollouts has enough of."""


class Rollouts(RuleBasedStateMachine):
    """Random events in random order, with the engine dying at any write."""

    APPENDED: ClassVar[type[Appended]] = Appended

    def __init__(self) -> None:
        super().__init__()
        self.platform = Platform()
        self.appended = self.APPENDED(self.platform)
        self.deaths = 0
        self.is_over = False
        self.faults = 0
        """How many losses of one thing were tried on holding rollouts."""

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
        self.appended.failed += failed
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
            self.appended.check_new()
            self.check_no_fault_makes_a_rise_easier()
            return
        finally:
            self.platform.store.disarm()
        self.appended.check_new()
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
        self.appended.check_new()

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
                serving = {table.stable} | ({table.candidate} if table.candidate and table.weight else set())
                assert serving <= wanted
                # Where nothing else scales, as in a cluster.
                assert all(self.platform.scaled.get(ref, 1) for ref in serving)

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
        self.platform.unfound.clear()
        # A candidate with fewer instances than stable waits for its owner, and reports that.
        versions = self.platform.route.spec.versions
        self.platform.change(versions={name: one.model_copy(update={"instances": 3}) for name, one in versions.items()})
        turns = 0  # since it last waited for requests
        for _ in range(400):
            if self.waits_for_requests():  # a bad window of many requests takes many good ones
                self.users_ask_as_the_weight_says()
                turns = 0
            elif (turns := turns + 1) > 40:
                break
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

    def users_ask_as_the_weight_says(self) -> None:
        """Both versions answer well, and each gets its share: until now stable may have had nine tenths of any step."""
        table = self.platform.head.table
        if table.candidate is not None and table.weight:
            mine = round(2000 * table.weight / TOTAL_WEIGHT)
            self.platform.serve(table.candidate, ok=mine)
            self.platform.serve(table.stable, ok=2000 - mine)

    def waits_for_requests(self) -> bool:
        """Whether only more requests end the wait.

        The requests say that the candidate is worse and the windows do not, or one version had too many of them.
        """
        windows, status = self.platform.store.windows("iris"), self.platform.store.status("iris") or {}
        is_unconfirmed = windows and any((one.log_unconfirmed or 0.0) > MOST_IGNORED for one in windows[-1].evidence)
        return bool(is_unconfirmed) or str(status.get("waiting") or "").startswith("share:")

    def help_along(self) -> None:
        """Add other things that a rollout waits for."""

    def check_rest(self) -> None:
        before = self.platform.head
        self.platform.tick(1)
        assert self.platform.head == before
