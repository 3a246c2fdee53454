"""Random histories of a route whose candidates are judged by what services count of themselves."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from fairlead.contracts.answers import add_classes
from fairlead.contracts.gates import MEASURED
from fairlead.contracts.revision import Cause, Phase, Revision
from fairlead.contracts.route import GateSpec, Strategy, VersionRef
from fairlead.contracts.window import VersionsMeasured
from fairlead.rollout.policy.measured_reasons import all_measured
from fairlead.rollout.ports import Increase
from unit.rollout.appended import Appended
from unit.rollout.random_rollouts import VERSIONS, Rollouts, versions
from unit.rollout.simulated_platform import STEPS, Platform


def counted(platform: Platform, attempt: int) -> VersionsMeasured:
    """What is in the ledger of one attempt, up to its newest revision."""
    revisions = [one for one in platform.store.revisions("iris") if one.state.attempt == attempt]
    return all_measured(window for one in revisions if one.cause is not Cause.RELEASED for window in one.windows)


class AppendedByMeasures(Appended):
    """The rules for revisions of rollouts with these gates."""

    def __init__(self, platform: Platform) -> None:
        super().__init__(platform)
        self.worse = {name: 0 for name in MEASURED}
        """How often services counted something worse of a candidate, by gate."""
        self.rolled_back = 0

    def check(self, before: Revision | None, revision: Revision) -> None:
        super().check(before, revision)
        if before is None or revision.cause is not Cause.ROLLED_BACK:
            return
        for name in MEASURED:
            if f": {name}:" in revision.reason:
                self.rolled_back += 1
                assert self.worse[name], f"rolled back by {name} though nothing worse was counted"
                assert before.state.phase is Phase.CANARY


class MeasuredRollouts(Rollouts):
    """The same, but services count labels, CPU seconds and bins, and the strategy has a gate on each."""

    APPENDED = AppendedByMeasures
    appended: AppendedByMeasures

    @initialize(version=versions, instances=st.integers(1, 3))
    def begin(self, version: str, instances: int) -> None:
        del instances
        gates = tuple(GateSpec(name=name) for name in sorted(MEASURED))
        self.platform.deploy(VERSIONS, version, strategy=Strategy(steps=STEPS, min_requests=0, gates=gates))
        self.everything_works_for_a_while()
        self.release(next(one for one in VERSIONS if one != version))
        self.everything_works_for_a_while()

    @rule(readings=st.integers(1, 3), gate=st.sampled_from((*sorted(MEASURED), "", "")), is_known=st.booleans())
    def services_tell(self, readings: int, gate: str, is_known: bool) -> None:
        """In each reading the candidate is like stable, or worse in one thing. A part may not be known."""
        head = self.platform.store.head("iris")
        if head is None or head.table.candidate is None:
            return
        for _ in range(readings):
            self._tell(head.table.stable, "", is_known=True)
            self._tell(head.table.candidate, gate, is_known=is_known)
            self.tick(5.0)
        if gate:
            self.appended.worse[gate] += 1

    def _tell(self, ref: VersionRef, worse: str, *, is_known: bool) -> None:
        bins = {"below 1": 50, "from 1": 50}
        moved = add_classes(bins, {"from 1": 200} if worse == "predictionDrift" else {})
        told = Increase(
            labels=50 if is_known else None,
            wrong=40 if worse == "quality" else 5,
            rows=100,
            cpu_s=(1.0 if worse == "cost" else 0.1) if is_known else None,
            seconds=5.0,
            bins=moved,
        )
        self.platform.told.append((ref, told))

    def waits_for_requests(self) -> bool:
        """A reading in which something was worse takes many that are well."""
        status = self.platform.store.status("iris") or {}
        is_judging = str(status.get("waiting") or "").startswith(tuple(f"{name}:" for name in MEASURED))
        return super().waits_for_requests() or is_judging

    def help_along(self) -> None:
        self.services_tell(1, "", is_known=True)
