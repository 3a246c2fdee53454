"""How requests failed, by the counters of the gateway."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fairlead.contracts.gateway import Role, key_of
from fairlead.contracts.latency import GRID_MS
from fairlead.contracts.window import Counts, Failures
from fairlead.rollout.analysis.counts import count
from fairlead.rollout.ports import Reading
from unit.rollout.analysis.readings import EMPTY, LIMITED, NO_LIMIT, STABLE, TABLE, M, S, a_reading

F = key_of(Role.FALLBACK, TABLE, STABLE)


def retried(completed: int, tries: int) -> dict[str, int]:
    """Counters of the aggregate: `tries` requests were tried again at stable, which answered them."""
    return {"upstream_rq_completed": completed, "upstream_rq_retry": tries, "upstream_rq_retry_success": tries}


# Measured at a real Envoy with perTry 300 ms, after four or eight requests in each case.
@pytest.mark.parametrize(
    ("after", "expected"),
    [
        pytest.param(
            a_reading(
                endpoints={"h:1": (4, 0)}, aggregate={"upstream_rq_completed": 4, "upstream_rq_retry": 4}, member={}
            ),
            Failures(late=4),
            id="answers after 500 ms, before stable does",
        ),
        pytest.param(
            a_reading(aggregate=retried(8, 5), member={"upstream_cx_destroy_local_with_active_rq": 5}),
            Failures(late=5),
            id="hangs, stable answers; ejected after five",
        ),
        pytest.param(
            a_reading(
                endpoints={"h:1": (0, 4)},
                aggregate=retried(4, 4),
                member={"upstream_cx_destroy_local_with_active_rq": 4},
            ),
            Failures(server_errors=4),
            id="answers 500",
        ),
        pytest.param(
            a_reading(endpoints={"h:1": (0, 5)}, aggregate=retried(8, 5), member={"upstream_cx_connect_fail": 5}),
            Failures(unanswered=5),
            id="refuses; ejected after five",
        ),
        pytest.param(
            replace(
                a_reading(
                    endpoints={"h:1": (0, 2)},
                    aggregate={
                        "upstream_rq_completed": 4,
                        "upstream_rq_5xx": 4,
                        "upstream_rq_retry": 2,
                        "upstream_rq_timeout": 4,
                    },
                    member={"upstream_cx_destroy_local_with_active_rq": 2},
                ),
                timeouts={M: {"h:1": 2}},
            ),
            Failures(timed_out=2),
            id="both hang until the whole time is up",
        ),
        pytest.param(
            replace(
                a_reading(
                    endpoints={"h:1": (4, 0)}, aggregate={"upstream_rq_completed": 4, "upstream_rq_retry": 4}, member={}
                ),
                endpoints={M: {"h:1": (4, 0)}, F: {"h:2": (0, 4)}},
            ),
            Failures(late=4),
            id="answers after 500 ms, stable refuses to be asked too",
        ),
        pytest.param(
            replace(
                a_reading(
                    aggregate={
                        "upstream_rq_completed": 8,
                        "upstream_rq_5xx": 3,
                        "upstream_rq_retry": 8,
                        "retry.upstream_rq_completed": 3,
                    },
                    member={"upstream_cx_destroy_local_with_active_rq": 5},
                ),
                endpoints={M: {"h:1": (0, 0)}, F: {"h:2": (5, 6)}},
            ),
            Failures(late=5),
            id="hangs, stable answers; ejected after five, and stable refuses the other three, twice",
        ),
        pytest.param(
            a_reading(member={"upstream_cx_destroy_local_with_active_rq": 4}),
            Failures(),
            id="clients give up before perTry",
        ),
    ],
)
def test_the_candidates_failures_are_told_apart(after: Reading, expected: Failures) -> None:
    assert count([EMPTY], [after], LIMITED).failures.candidate == expected


def test_a_request_that_timed_out_at_both_versions_is_assigned_once() -> None:
    after = a_reading(
        endpoints={"h:1": (0, 2)}, aggregate={"upstream_rq_completed": 4, "upstream_rq_timeout": 4}, member={}
    )
    counted = count([EMPTY], [replace(after, timeouts={M: {"h:1": 2}})], LIMITED)
    assert (counted.assigned, counted.unserved) == (2, 2)


def test_what_stable_fails_instead_of_the_candidate_is_not_late() -> None:
    caused = {"upstream_rq_completed": 9, "upstream_rq_retry": 9, "retry.upstream_rq_completed": 9}
    after = a_reading(aggregate=caused, endpoints={"h:1": (5, 0)})
    after = replace(after, endpoints={**after.endpoints, F: {"s:1": (0, 9)}})
    assert count([EMPTY], [after], LIMITED).failures.candidate.late == 0


def test_without_a_second_try_nothing_of_the_candidate_is_late() -> None:
    after = a_reading(aggregate={"upstream_rq_completed": 9, "upstream_rq_retry": 9}, endpoints={"h:1": (9, 0)})
    for table in (LIMITED.model_copy(update={"idempotent": False}), TABLE.model_copy(update=NO_LIMIT)):
        assert count([EMPTY], [after], table).failures.candidate.late == 0


def test_stables_answers_above_the_same_limit_are_late_and_so_are_those_not_waited_for() -> None:
    slow = tuple(0 if bound < 256 else 7 if bound < 768 else 10 for bound in GRID_MS)
    after = a_reading(
        stable={
            "upstream_rq_completed": 11,
            "upstream_rq_5xx": 1,
            "upstream_rq_timeout": 1,
            "upstream_cx_destroy_local_with_active_rq": 3,
        }
    )
    counted = count([EMPTY], [replace(after, latency={S: slow})], LIMITED)
    assert (counted.stable, counted.failures.stable) == (Counts(n=11, bad=1), Failures(timed_out=1, late=6))


def test_stables_failures_are_told_apart() -> None:
    after = a_reading(
        stable={
            "upstream_rq_completed": 40,
            "upstream_rq_5xx": 9,
            "upstream_rq_timeout": 2,
            "upstream_cx_connect_fail": 1,
            "upstream_cx_none_healthy": 3,
            "upstream_rq_429": 5,
        }
    )
    expected = Failures(timed_out=2, unanswered=4, server_errors=8, late=2)
    assert count([EMPTY], [after], LIMITED).failures.stable == expected
