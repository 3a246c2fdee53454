"""Random histories of a route whose versions may be cold: they are used, idle, and waited for in any order."""

from __future__ import annotations

from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from fairlead.contracts.revision import Phase, Revision
from fairlead.contracts.route import MirrorSpec, ScaleToZero
from fairlead.rollout.policy.desired_instances import within_rollback_window
from unit.rollout.appended import Appended
from unit.rollout.random_rollouts import Rollouts, versions

AFTER_S = 10.0


class ColdAppended(Appended):
    """No version becomes cold while somebody may need it at once."""

    def check(self, before: Revision | None, revision: Revision) -> None:
        super().check(before, revision)
        cold = set(before.table.cold if before is not None else ())
        woken = (cold & set(revision.table.pins)) - set(revision.table.cold)
        assert not woken & self._platform.unfound, "a gateway would have no instance for the requests that waited"
        fallen = set(revision.table.cold) - cold
        if not fallen:
            return
        state, table, route = revision.state, revision.table, self._platform.route
        needed = {mirror.version for mirror in table.mirrors} | self._platform.waiting
        if state.phase is not Phase.STABLE:
            needed |= {table.stable, state.target}
        elif within_rollback_window(route, state, self._platform.now):
            needed |= {table.stable, *((state.previous,) if state.previous else ())}
        assert not fallen & needed
        assert all(route.spec.versions[ref.version].min_instances == 0 for ref in fallen)


class ColdRollouts(Rollouts):
    """All versions may be cold."""

    APPENDED: ClassVar[type[Appended]] = ColdAppended

    def let_all_be_cold(self) -> None:
        spec = self.platform.route.spec
        cold = {name: one.model_copy(update={"min_instances": 0}) for name, one in spec.versions.items()}
        self.platform.change(versions=cold, scale_to_zero=ScaleToZero(after=AFTER_S))

    @rule()
    def versions_may_be_cold(self) -> None:
        if self.platform.store.routes():
            self.let_all_be_cold()

    @rule(version=versions)
    def somebody_uses_a_version(self, version: str) -> None:
        spec, head = self.platform.route.spec, self.platform.store.head("iris")
        if head is not None and version in spec.versions and spec.versions[version].ref(version) in head.table.pins:
            self.platform.use(spec.versions[version].ref(version))

    @rule(data=st.data())
    def requests_wait(self, data: st.DataObject) -> None:
        head = self.platform.store.head("iris")
        if head is not None and head.table.cold:
            self.platform.waiting.add(data.draw(st.sampled_from(head.table.cold)))

    @rule()
    def nobody_waits(self) -> None:
        self.platform.waiting.clear()

    @rule(version=versions)
    def a_gateway_finds_a_version_late(self, version: str) -> None:
        spec = self.platform.route.spec
        if version in spec.versions:
            self.platform.unfound.add(spec.versions[version].ref(version))

    @rule()
    def gateways_find_everything(self) -> None:
        self.platform.unfound.clear()

    @rule(version=versions)
    def mirror_to_a_version_or_to_none(self, version: str) -> None:
        spec = self.platform.route.spec
        if version in spec.versions:
            self.platform.change(mirrors=() if spec.mirrors else (MirrorSpec(version=version),))

    @rule(version=versions)
    def remove_or_add_a_version(self, version: str) -> None:
        if version not in {mirror.version for mirror in self.platform.route.spec.mirrors}:
            super().remove_or_add_a_version(version)

    @rule()
    def nobody_uses_anything_for_a_while(self) -> None:
        for _ in range(6):
            self.tick(6.0)
            self.platform.supervise()
            if not self.platform.unreachable:
                self.platform.acknowledge()

    def check_no_serving_version_is_stopped(self) -> None:
        """A gateway that does not hold the requests for a version finds its instances."""
        rows = {row.ref for row in self.platform.store.wanted() if not row.stopped}
        spec = self.platform.route.spec
        listed = {one.ref(name) for name, one in spec.versions.items()}
        for seq in self.platform.programmed.values():
            if seq:
                table = self.platform.store.revision("iris", seq).table
                serving = {table.stable} | ({table.candidate} if table.candidate and table.weight else set())
                assert serving - set(table.cold) <= rows
                assert {ref for ref in table.pins if ref not in table.cold and ref in listed} <= rows

    @invariant()
    def neither_stable_nor_a_candidate_with_weight_is_cold(self) -> None:
        head = self.platform.store.head("iris")
        if head is not None and head.table.weight:
            assert not {head.table.stable, head.table.candidate} & set(head.table.cold)

    def check_rest(self) -> None:
        """Idle versions become cold and stop, and a request starts them."""
        platform = self.platform
        platform.waiting.clear()
        platform.unfound.clear()
        platform.change(mirrors=())
        self.let_all_be_cold()
        platform.settle(4, 4000.0)  # the rollback window ends
        for _ in range(20):
            platform.settle(1, 6.0)
        listed = {one.ref(name) for name, one in platform.route.spec.versions.items()}
        assert set(platform.head.table.cold) == listed & set(platform.head.table.pins), platform.store.status("iris")
        assert {row.ref for row in platform.store.wanted() if not row.stopped} <= {platform.head.table.stable} - listed
        stable = platform.head.table.stable
        platform.waiting.add(stable)
        platform.settle(4, 1.0)
        assert stable not in platform.head.table.cold
        assert platform.ready(stable)
