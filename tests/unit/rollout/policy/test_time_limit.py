"""The candidate's time limit: what it is by default, when it holds a rise, and what it is evidence of."""

from __future__ import annotations

from dataclasses import replace
from math import log
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.latency import GRID_MS
from fairlead.contracts.revision import Phase, Verdict
from fairlead.contracts.route import Timeouts
from fairlead.contracts.window import Counts, Failures, Histograms, VersionFailures, Window
from fairlead.rollout.policy import time_limit, transitions
from fairlead.rollout.policy.decide import decide
from fairlead.rollout.policy.evidence import threshold, weigh
from fairlead.rollout.policy.evidence_gates import judge_evidence
from fairlead.rollout.policy.gates import judge
from fairlead.rollout.policy.situation import Situation
from unit.rollout.policy.builders import PASSED, V2, a_route, a_strategy, canary, later, preparing, seen

STRATEGY = a_strategy()


def histogram(*seconds: float) -> tuple[int, ...]:
    """The gateway's histogram of answers that took so long."""
    return tuple(sum(1000 * one <= bound for one in seconds) for bound in GRID_MS)


def a_window(at: float, *, stable: tuple[float, ...] = (), **fields: Any) -> Window:
    """Five seconds in which stable answered after so many seconds each."""
    given = {"stable": Counts(n=len(stable)), "latency": Histograms(stable=histogram(*stable) if stable else ())}
    return five_seconds(at, **given, **fields)


def five_seconds(at: float, **fields: Any) -> Window:
    return Window(**{"start": later(at), "end": later(at + 5), "weight": 500, "ready": 1, **fields})


def late(candidate: tuple[int, int], stable: tuple[int, int], *, bad: tuple[int, int] = (0, 0)) -> dict[str, Any]:
    """(late, n) of both versions, and how many of each failed."""
    return {
        "candidate": Counts(n=candidate[1], bad=bad[0]),
        "stable": Counts(n=stable[1], bad=bad[1]),
        "assigned": candidate[1],
        "failures": VersionFailures(
            candidate=Failures(server_errors=bad[0], late=candidate[0]),
            stable=Failures(server_errors=bad[1], late=stable[0]),
        ),
    }


def folded(*windows: dict[str, Any]) -> tuple[Window, ...]:
    found: list[Window] = []
    for number, fields in enumerate(windows):
        window = five_seconds(5 * number, **fields)
        found.append(window.model_copy(update={"evidence": weigh(STRATEGY, found, window)}))
    return tuple(found)


def errors_of(windows: tuple[Window, ...], *, limit_s: float = 2.0) -> Any:
    head = canary()
    head = head.model_copy(update={"table": head.table.model_copy(update={"per_try_timeout_s": limit_s})})
    situation = Situation(a_route(strategy=STRATEGY), head, replace(seen(5 * len(windows)), windows=windows))
    return judge_evidence(situation)["errors"]


class TestDefault:
    def test_a_limit_in_the_spec_is_the_limit(self) -> None:
        assert time_limit.limit_for(Timeouts(per_try=0.3), [a_window(0, stable=(5.0,) * 500)]) == 0.3

    def test_while_little_of_stable_was_seen_each_version_has_half_of_the_time(self) -> None:
        assert time_limit.limit_for(Timeouts(request=8.0), [a_window(0, stable=(2.5,) * 99)]) == 4.0
        assert time_limit.limit_for(Timeouts(request=8.0), []) == 4.0

    def test_a_fast_stable_leaves_two_seconds(self) -> None:
        assert time_limit.limit_for(Timeouts(), [a_window(0, stable=(0.01,) * 500)]) == 2.0

    def test_a_slow_stable_leaves_three_times_its_slowest_answers(self) -> None:
        windows = [a_window(5 * at, stable=(1.0,) * 100) for at in range(3)]
        assert 3 * 0.768 < time_limit.limit_for(Timeouts(), windows) <= 3 * 1.024

    def test_it_is_never_above_the_time_of_the_whole_request(self) -> None:
        assert time_limit.limit_for(Timeouts(), [a_window(0, stable=(6.0,) * 200)]) == 10.0

    @given(st.lists(st.floats(0.001, 30), min_size=100, max_size=300))
    def test_at_most_one_in_a_thousand_of_stables_answers_exceeds_it(self, seconds: list[float]) -> None:
        limit = time_limit.limit_for(Timeouts(request=3600), [a_window(0, stable=tuple(seconds))])
        assert sum(one > limit for one in seconds) <= 0.001 * len(seconds)


class TestInTheTable:
    def test_the_first_weight_fixes_it_by_what_was_seen_while_the_candidate_started(self) -> None:
        windows = tuple(a_window(at, stable=(1.0,) * 100, weight=0) for at in (0, 5))
        step = decide(a_route(), preparing(), replace(seen(9, smoke=PASSED), windows=windows), []).next
        assert step is not None
        assert (step.state.phase, step.table.candidate) == (Phase.CANARY, V2)
        assert step.table.per_try_timeout_s > 2.0

    def test_later_windows_do_not_change_it_without_a_step(self) -> None:
        windows = tuple(a_window(at, stable=(3.0,) * 100) for at in (0, 5))
        situation = Situation(a_route(), canary(), replace(seen(9), windows=windows))
        refreshed = transitions.refreshed(situation)
        assert refreshed is None or refreshed.table.per_try_timeout_s == canary().table.per_try_timeout_s

    def test_a_limit_in_the_spec_is_in_the_ledger_at_once(self) -> None:
        route = a_route(timeouts=Timeouts(per_try=0.7))
        refreshed = transitions.refreshed(Situation(route, canary(), seen(9)))
        assert refreshed is not None
        assert refreshed.table.per_try_timeout_s == 0.7

    def test_a_request_time_below_it_lowers_it(self) -> None:
        route = a_route(timeouts=Timeouts(request=1.0))
        refreshed = transitions.refreshed(Situation(route, canary(), seen(9)))
        assert refreshed is not None
        assert (refreshed.table.per_try_timeout_s, refreshed.table.late_after_s) == (1.0, None)


class TestHold:
    def check(self, *windows: Window, **spec: Any) -> Any:
        route = a_route(timeouts=Timeouts(per_try=2.0), **spec)
        situation = Situation(route, canary(), replace(seen(99), windows=windows))
        found = next(one for one in judge(situation) if one.check.gate == "timeouts")
        assert found.role == "signal"
        return found.check

    def test_a_limit_that_stable_reaches_holds_with_the_reason(self) -> None:
        check = self.check(a_window(0, stable=(2.5,) * 9 + (0.5,)))
        assert check.verdict is Verdict.INCONCLUSIVE
        assert check.reason.startswith("9 of 10 answers of 1.0.0 took longer than perTry 2 s (median 2.5 s)")
        assert check.reason.endswith("raise timeouts.perTry, or leave it out")

    def test_a_limit_that_one_answer_in_a_hundred_reaches_does_not_hold(self) -> None:
        assert self.check(a_window(0, stable=(2.5,) * 3 + (0.1,) * 297)).verdict is Verdict.PASS

    def test_two_slow_answers_do_not_hold(self) -> None:
        assert self.check(a_window(0, stable=(2.5, 2.5))).verdict is Verdict.PASS

    def test_slow_answers_of_more_than_a_minute_ago_do_not_hold(self) -> None:
        good = tuple(a_window(5 * at, stable=(0.1,) * 9) for at in range(1, 13))
        assert self.check(a_window(0, stable=(9.0,) * 9), *good).verdict is Verdict.PASS

    def test_windows_without_latency_do_not_end_a_hold(self) -> None:
        gaps = tuple(a_window(5 * at, gap="no gateway told its counters") for at in range(1, 30))
        assert self.check(a_window(0, stable=(9.0,) * 9), *gaps).verdict is Verdict.INCONCLUSIVE

    def test_without_a_second_try_there_is_no_limit_to_hold_for(self) -> None:
        assert self.check(a_window(0, stable=(9.0,) * 9), idempotent=False).verdict is Verdict.PASS

    def test_a_default_limit_never_holds(self) -> None:
        check = time_limit.timeouts(
            Situation(a_route(), canary(), replace(seen(99), windows=(a_window(0, stable=(9.0,) * 9),)))
        )
        assert check.verdict is Verdict.PASS


class TestEvidence:
    def test_a_candidate_that_is_late_where_stable_is_not_is_rolled_back(self) -> None:
        check = errors_of(folded(*[late((5, 5), (0, 45))] * 4))
        assert check.verdict is Verdict.FAIL
        assert "20 of 20 took longer than perTry 2 s against 0 of 180" in check.reason

    def test_two_versions_that_are_late_alike_are_not_told_apart(self) -> None:
        check = errors_of(folded(*[late((7, 7), (10, 10))] * 40))
        assert check.verdict is Verdict.PASS
        assert check.numbers["log_harm"] < 1

    def test_errors_are_found_although_every_answer_of_both_is_late(self) -> None:
        assert errors_of(folded(*[late((10, 10), (40, 40), bad=(5, 0))] * 6)).verdict is Verdict.FAIL

    def test_late_answers_beside_stables_are_no_proof_of_safety_for_failing_ones(self) -> None:
        safe = folded(*[late((0, 50), (0, 50), bad=(5, 0))] * 20)[-1].evidence[0].log_safe
        assert folded(*[late((0, 50), (40, 50), bad=(5, 0))] * 20)[-1].evidence[0].log_safe <= safe + log(2)

    def test_before_a_request_was_late_nothing_is_stored_of_it(self) -> None:
        good = folded(late((0, 10), (0, 90)))[-1].evidence[0]
        slow = folded(late((0, 10), (0, 90)), late((0, 10), (3, 90)))[-1].evidence[0]
        assert not any(name.startswith("late_") for name in good.state)
        assert {name for name in slow.state if name.startswith("late_")} == {f"late_{name}" for name in good.state}

    @pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
    def test_equal_versions_at_the_limit_are_rolled_back_no_more_often_than_alpha(self, share: float) -> None:
        rng, enough, failed = np.random.default_rng(7), threshold(STRATEGY, STRATEGY_ERRORS), 0
        for _ in range(20):
            n_c, n_s = rng.poisson(10, 20), rng.poisson(40, 20)
            rows = zip(rng.binomial(n_c, share), n_c, rng.binomial(n_s, share), n_s, strict=True)
            windows = folded(*[late((int(a), int(b)), (int(c), int(d))) for a, b, c, d in rows])
            failed += max(window.evidence[0].log_harm for window in windows) >= enough
        assert not failed

    @pytest.mark.parametrize(("late_of_stable", "bad_of_stable"), [(40, 0), (0, 40), (5, 5)])
    def test_instances_ejected_while_stable_is_in_trouble_too_are_not_starving(
        self, late_of_stable: int, bad_of_stable: int
    ) -> None:
        assert starved(late_of_stable=0, bad_of_stable=0) > 0
        assert starved(late_of_stable=late_of_stable, bad_of_stable=bad_of_stable) == 0

    def test_a_stable_that_fails_one_in_twenty_hides_no_starving(self) -> None:
        assert starved(late_of_stable=0, bad_of_stable=3) > 0


def starved(*, late_of_stable: int, bad_of_stable: int) -> float:
    """The evidence after windows in which most of the candidate's requests went elsewhere."""
    fields = late((5, 5), (late_of_stable, 60), bad=(0, bad_of_stable)) | {"assigned": 60, "unserved": 55}
    return next(one for one in folded(*[fields] * 30)[-1].evidence if one.gate == "starved").log_harm


STRATEGY_ERRORS = next(gate for gate in STRATEGY.gates if gate.name == "errors")
