"""Random histories of a route whose candidates answer mirrored requests before they get a weight."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from fairlead.contracts.answers import Pairs
from fairlead.contracts.revision import Cause, Phase, Revision
from fairlead.contracts.route import ShadowSpec, Strategy, VersionRef
from unit.rollout.appended import Appended
from unit.rollout.random_rollouts import VERSIONS, Rollouts, versions
from unit.rollout.simulated_platform import STEPS, Platform

MIN_PAIRS = 20


def counted(platform: Platform, attempt: int | None = None) -> Pairs:
    """The pairs in the ledger: of one attempt up to its newest revision, or of all with the newest windows."""
    revisions = platform.store.revisions("iris")
    ended = [one for one in revisions if one.cause is not Cause.RELEASED and one.state.attempt == attempt]
    windows = [window for one in (revisions if attempt is None else ended) for window in one.windows]
    total = Pairs()
    for window in windows if attempt is not None else (*windows, *platform.store.windows("iris")):
        total = total.plus(window.pairs)
    return total


class AppendedAfterShadows(Appended):
    """The rules for revisions of rollouts with a shadow."""

    def __init__(self, platform: Platform) -> None:
        super().__init__(platform)
        self.refused = 0
        """How many candidates were rolled back because of their answers."""

    def check(self, before: Revision | None, revision: Revision) -> None:
        super().check(before, revision)
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
            assert counted(self._platform, revision.state.attempt).differ, "rejected although it never disagreed"

    def check_rise(self, before: Revision, revision: Revision, ref: VersionRef) -> None:
        super().check_rise(before, revision, ref)
        if before.table.weight:
            return
        assert before.state.phase is Phase.SHADOWING, "a weight without a shadow before it"
        (check,) = [one for one in revision.evidence if one.gate == "agreement"]
        pairs = counted(self._platform, revision.state.attempt)
        assert (check.numbers["pairs"], check.numbers["differ"]) == (pairs.n, pairs.differ)
        assert pairs.n >= MIN_PAIRS
        assert pairs.differ < pairs.n, "none of its answers was the same"


class ShadowedRollouts(Rollouts):
    """The same, but every candidate first answers mirrored requests, with stable's answers or with others."""

    APPENDED = AppendedAfterShadows
    appended: AppendedAfterShadows

    def __init__(self) -> None:
        super().__init__()
        self.said = 0
        self.read_from = 0
        """The index of the first answer since this engine was started."""

    @initialize(version=versions, instances=st.integers(1, 3))
    def begin(self, version: str, instances: int) -> None:
        del instances  # one each: a shadow of all requests needs as many instances as stable has
        shadow = ShadowSpec(min_duration=10.0, min_pairs=MIN_PAIRS)
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

    @invariant()
    def no_pair_is_counted_twice(self) -> None:
        assert counted(self.platform).n <= self.said

    def help_along(self) -> None:
        self.mirrored_requests_are_answered(MIN_PAIRS, "a")
