"""The engine over a real store: windows that are counted, and whole rollouts that they decide."""

from __future__ import annotations

import pytest

from fairlead.contracts.action import ActionType
from fairlead.contracts.revision import Cause, Phase
from unit.rollout.simulated_platform import START, Platform, at_step


class TestEvidence:
    def test_windows_counted_under_a_table_are_in_the_next_revision(self, platform: Platform) -> None:
        at_step(platform, 500)
        platform.settle(1, 5)  # the window in which the candidate began is a gap
        for _ in range(3):
            platform.serve(platform.ref("1.1.0"), ok=9, bad=1)
            platform.serve(platform.ref("1.0.0"), ok=81, bad=9)
            platform.settle(1, 5)
        step = platform.head
        while step.table.weight == 500:
            platform.settle(1, 1)
            step = platform.head
        counted = [window for window in step.windows if window.gap is None]
        assert sum(window.candidate.n for window in counted) == 60  # two gateways, ten each, three times
        assert sum(window.candidate.bad for window in counted) == 6
        assert sum(window.stable.n for window in counted) == 540
        assert platform.store.windows("iris") == [] or platform.store.windows("iris")[0].start >= step.created_at

    def test_windows_follow_the_wall_clock(self, platform: Platform) -> None:
        at_step(platform, 500)
        platform.wait(5 - (platform.now - START).total_seconds() % 5)
        platform.tick()
        for _ in range(10):
            platform.tick(1)
        assert [(one.end - START).total_seconds() % 5 for one in platform.store.windows("iris")[-2:]] == [0, 0]

    def test_nothing_is_counted_without_a_rollout(self, platform: Platform) -> None:
        platform.settle(20, 5)
        assert platform.store.windows("iris") == []

    def test_a_restart_of_the_engine_is_a_gap_and_no_evidence(self, platform: Platform) -> None:
        at_step(platform, 500)
        platform.ask(ActionType.PAUSE)
        platform.settle(3, 5)
        platform.serve(platform.ref("1.1.0"), ok=1000)
        platform.wait(60)
        platform.engine = platform.started()
        platform.tick()
        gap = platform.store.windows("iris")[-1]
        assert (gap.gap, gap.candidate.n, gap.ready) == ("the control plane was not watching", 0, None)
        platform.serve(platform.ref("1.1.0"), ok=10)
        platform.tick(5)
        assert (platform.store.windows("iris")[-1].gap, platform.store.windows("iris")[-1].candidate.n) == (None, 20)

    def test_a_metrics_outage_is_a_gap_and_is_reported(self, platform: Platform) -> None:
        at_step(platform, 500)
        platform.settle(2, 5)
        platform.unreachable = {"e1", "e2"}
        platform.tick(5)
        assert platform.store.windows("iris")[-1].gap == "no gateway told its counters"
        conditions = {one["type"]: one for one in (platform.store.status("iris") or {})["conditions"]}  # type: ignore[attr-defined]
        assert conditions["Counted"]["status"] is False
        assert conditions["Ready"]["status"] is True

    def test_a_changed_table_in_the_window_is_a_gap(self, platform: Platform) -> None:
        platform.release("1.1.0")
        platform.settle(4, 2)
        gaps = {one.gap for one in (*platform.head.windows, *platform.store.windows("iris")) if one.gap}
        assert gaps == {"the versions of the table changed inside the window"}

    def test_a_candidate_that_stays_away_is_rolled_back(self, platform: Platform) -> None:
        at_step(platform, 500)
        platform.turn(platform.ref("1.1.0"), ready=False)
        for _ in range(12):
            platform.tick(5)
            assert platform.head.state.phase is Phase.CANARY
        platform.tick(5)
        platform.tick(5)
        assert platform.head.cause is Cause.ROLLED_BACK


class TestEvidenceMovesTraffic:
    """Whole rollouts by evidence, over a real store: the gates judge the counts of the simulated traffic."""

    def serve(self, platform: Platform, *, bad: int) -> None:
        """Five seconds of traffic; two gateways each count all of it."""
        platform.serve(platform.ref("1.1.0"), ok=10 - bad, bad=bad)
        platform.serve(platform.ref("1.0.0"), ok=90)
        platform.settle(1, 5)

    def test_a_bad_candidate_loses_its_weight_and_the_ledger_says_why(self, platform: Platform) -> None:
        at_step(platform, 500)
        windows = 0
        while platform.head.state.phase is Phase.CANARY:
            self.serve(platform, bad=5)
            windows += 1
        head = platform.head
        assert windows <= 4, "the first counts nothing, and three say that half of the requests fail"
        assert (head.cause, head.table.candidate) == (Cause.ROLLED_BACK, None)
        errors = next(one for one in head.evidence if one.gate == "errors")
        assert errors.numbers["log_harm"] >= errors.numbers["harm_at"]
        newest = head.windows[-1].evidence[0]
        assert newest.log_harm == pytest.approx(errors.numbers["log_harm"], abs=1e-3)
        assert newest.state, "the last window of a revision carries the state"

    def test_a_restart_of_the_engine_forgets_no_evidence(self, platform: Platform) -> None:
        at_step(platform, 500)
        platform.ask(ActionType.PAUSE)
        platform.settle(2, 5)
        for _ in range(2):
            self.serve(platform, bad=1)
        before = platform.store.windows("iris")[-1].evidence[0].log_harm
        assert before > 0
        platform.wait(3600)
        platform.engine = platform.started()
        platform.settle(2, 5)
        assert platform.store.windows("iris")[-1].evidence[0].log_harm == before
        self.serve(platform, bad=1)
        assert platform.store.windows("iris")[-1].evidence[0].log_harm > before

    def test_evidence_goes_on_over_a_step_and_begins_anew_with_an_attempt(self, platform: Platform) -> None:
        at_step(platform, 500)
        platform.settle(1, 5)
        self.serve(platform, bad=1)
        while platform.head.table.weight == 500:
            self.serve(platform, bad=0)
        carried = platform.head.windows[-1].evidence[0].log_harm
        assert carried != 0
        platform.settle(1, 0)
        platform.turn(platform.ref("1.1.0"), ready=True)
        platform.settle(1, 5)
        assert platform.store.windows("iris")[-1].evidence[0].log_harm == pytest.approx(carried, abs=0.5)
        platform.release("1.2.0")
        platform.settle(3, 5)
        assert platform.store.windows("iris")[-1].evidence[0].log_harm == 0

    def test_more_than_240_windows_are_merged_and_say_the_same(self, platform: Platform) -> None:
        at_step(platform, 500)
        platform.ask(ActionType.PAUSE)
        platform.settle(2, 5)
        for at in range(310):
            platform.serve(platform.ref("1.1.0"), ok=10 - (at == 3), bad=int(at == 3))
            platform.serve(platform.ref("1.0.0"), ok=90)
            platform.tick(5)
        kept = platform.store.windows("iris")
        assert len(kept) <= 240
        assert sum(one.candidate.n for one in kept) == 310 * 20
        assert sum(bool(one.evidence and one.evidence[0].state) for one in kept) == 1
        assert sum(len(one.to_json()["evidence"]) for one in kept) == 5 * len(kept)

    def test_two_engines_do_not_count_the_same_time_twice(self, platform: Platform) -> None:
        at_step(platform, 500)
        platform.ask(ActionType.PAUSE)
        platform.settle(2, 5)
        other = platform.started()
        other.tick()
        platform.serve(platform.ref("1.1.0"), ok=5, bad=5)
        platform.serve(platform.ref("1.0.0"), ok=90)
        platform.wait(5)
        other.tick()
        counted = platform.store.windows("iris")[-1].evidence[0].log_harm
        platform.engine.tick()
        assert platform.store.windows("iris")[-1].evidence[0].log_harm == counted
