"""What a window keeps of what services counted."""

from __future__ import annotations

import pytest

from fairlead.contracts.gates import MEASURED
from fairlead.contracts.route import VersionRef
from fairlead.contracts.service_totals import ERROR_BOUNDS
from fairlead.contracts.window import Counts, Measured
from fairlead.rollout.analysis.measured import USUALLY_IDLE, Idle, measured
from fairlead.rollout.analysis.shadows import ComparedVersions, ShadowMatcher
from fairlead.rollout.ports import CollectedAnswers, Increase
from unit.rollout.policy.builders import later

STABLE, CANDIDATE = (VersionRef(version=name, identity=name * 10) for name in ("1", "2"))
ABOVE = tuple(10 if bound < 2 else 4 for bound in ERROR_BOUNDS)
"""Ten numbers erred, six of them by less than 2."""


def compared(*gates: str) -> ComparedVersions:
    return ComparedVersions(1, STABLE, CANDIDATE, 0.0, frozenset(gates))


def test_of_classes_the_wrong_labels_are_bad() -> None:
    assert measured(Increase(labels=9, wrong=2), {"quality"}, None).labels == Counts(n=9, bad=2)


def test_of_numbers_those_with_a_larger_error_than_allowed_are_bad() -> None:
    assert measured(Increase(labels=20, errors=ABOVE), {"quality"}, 2.0).labels == Counts(n=20, bad=4)
    assert measured(Increase(labels=20, errors=ABOVE), {"quality"}, 1.0).labels == Counts(n=20, bad=10)


@pytest.mark.parametrize("increase", [Increase(labels=20, errors=ABOVE), Increase(cpu_s=1.0)])
def test_what_the_gate_quality_cannot_use_is_missing(increase: Increase) -> None:
    assert "quality" in measured(increase, MEASURED, None).missing


def test_a_gate_that_is_not_asked_misses_nothing_and_keeps_nothing() -> None:
    found = measured(Increase(labels=9, wrong=2, bins={"a": 3}, rows=4, cpu_s=0.5, seconds=1), {"cost"}, None)
    assert found == Measured(rows=4, cpu_s=0.5, seconds=1)


def test_what_a_candidate_used_while_it_was_idle_is_no_cost_of_its_rows() -> None:
    idle = Idle().plus(Increase(idle_cpu_s=0.04, idle_s=4))
    assert idle.without(Measured(rows=10, cpu_s=1.0, seconds=5)).idle_cpu_s == pytest.approx(0.05)


def test_until_it_was_idle_the_usual_use_is_assumed() -> None:
    found = Idle().without(Measured(rows=10, cpu_s=1.0, seconds=5))
    assert found.idle_cpu_s == pytest.approx(5 * USUALLY_IDLE)


def test_a_window_has_what_both_versions_counted_since_the_last_one() -> None:
    matcher = ShadowMatcher()
    increases = {STABLE: Increase(rows=90, cpu_s=0.9, seconds=1), CANDIDATE: Increase(rows=10, cpu_s=0.1, seconds=1)}
    for _ in range(2):
        matcher.receive({"iris": CollectedAnswers(increases=increases)})
        found = matcher.match("iris", compared("cost"), None).measured
    assert found is not None
    assert (found.candidate.rows, found.stable.rows, found.stable.idle_cpu_s) == (20, 180, 0)


def test_without_such_a_gate_a_window_has_nothing_of_it() -> None:
    matcher = ShadowMatcher()
    matcher.receive({"iris": CollectedAnswers(increases={STABLE: Increase(rows=90)})})
    assert matcher.match("iris", compared(), None).measured is None


def test_what_another_engine_may_have_counted_is_not_counted_again() -> None:
    matcher = ShadowMatcher()
    matcher.receive({"iris": CollectedAnswers(increases={STABLE: Increase(rows=90, seconds=1)})})
    assert matcher.match("iris", compared("cost"), (later(0), later(5))).measured is None
