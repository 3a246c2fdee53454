"""The estimator against measured cases: Envoy's counters beside the backends' own counts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.gateway import ClusterKey, Role, key_of
from fairlead.contracts.latency import GRID_MS
from fairlead.contracts.route import VersionSpec
from fairlead.contracts.table import Table
from fairlead.contracts.window import Counts, Histograms, VersionCounts
from fairlead.rollout.analysis.counts import Counted, Gap, comparable, count
from fairlead.rollout.ports import Reading
from unit.rollout.analysis.readings import CANDIDATE, NOW, STABLE, TABLE, ZERO, A, M, S, a_reading


@dataclass(frozen=True)
class Case:
    """One measured row: counters of A, of the candidate's endpoints and of S, and the true counts."""

    name: str
    assigned: int
    answered: tuple[int, int]
    """rq_success and rq_error of the candidate's endpoints."""
    true: int
    """Assigned and not answered well by the candidate, by access log and backends."""
    attempts: tuple[int, int]
    """(failed, all) attempts that the candidate's backends counted."""
    aggregate: dict[str, int] | None = None
    member: dict[str, int] | None = None
    idempotent: bool = True


# `answered` follows from the row: rq_error is the failed attempts, rq_success the rest of all attempts.
CASES = (
    Case("ok", 1164, (1164, 0), 0, (0, 1164)),
    Case("100 % 500", 843, (0, 69), 843, (69, 69)),
    Case("30 % 500", 839, (561, 278), 278, (278, 839)),
    Case("30 % 500, sticky, ejected twice", 876, (215, 102), 661, (102, 317)),
    Case("30 % 500, no retry, no ejection", 847, (591, 256), 256, (256, 847), {"upstream_rq_5xx": 256}),
    Case(
        "hangs, stable is asked after 500 ms",
        1156,
        (0, 0),
        1156,
        (0, 204),
        {"upstream_rq_retry": 204, "upstream_rq_retry_success": 204},
        {"upstream_cx_destroy_local_with_active_rq": 204},
    ),
    Case("slow 300 ms", 814, (814, 0), 0, (0, 814)),
    Case("connection refused", 1176, (0, 64), 1176, (64, 64)),
    Case(
        "closes without an answer",
        1207,
        (0, 64),
        1207,
        (64, 64),
        member={"upstream_cx_destroy_remote_with_active_rq": 64},
    ),
    Case("no endpoints", 1203, (0, 0), 1203, (0, 0)),
    Case("429, retried", 798, (0, 798), 798, (798, 798)),
    Case("429, not retried", 1271, (1271, 0), 1271, (1271, 1271), {"upstream_rq_429": 1271}, idempotent=False),
    Case(
        "200, then cut in the body",
        467,
        (467, 0),
        467,
        (467, 467),
        member={"upstream_cx_destroy_remote_with_active_rq": 467},
    ),
    Case("two instances, one 100 % 500", 859, (825, 34), 34, (34, 859)),
    Case("same, default overprovisioning", 815, (551, 33), 264, (33, 584)),
    Case("same, stable fails 10 %", 689, (492, 36), 197, (36, 528), {"upstream_rq_5xx": 21}),
    Case("stable fails 5 %, candidate ok", 848, (848, 0), 0, (0, 848)),
    Case("stable 5 %, candidate 30 %, no ejection", 837, (603, 234), 234, (234, 837), {"upstream_rq_5xx": 16}),
    Case("stable 5 %, candidate 100 %", 808, (0, 66), 808, (66, 66), {"upstream_rq_5xx": 5}),
    Case("candidate's breaker overflows", 837, (608, 0), 229, (0, 608), {"upstream_rq_5xx": 229}),
    Case("clients hang up, candidate 100 % 500", 370, (0, 50), 370, (50, 50)),
    Case("blip: 0.2 s of 500, then fine", 850, (517, 5), 333, (5, 522)),
    Case("blip, ejection off", 842, (832, 10), 10, (10, 842)),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_backends_counted_is_what_is_estimated(case: Case) -> None:
    first, rest = case.answered[0] // 3, case.answered[0] - case.answered[0] // 3
    after = a_reading(
        at=5,
        endpoints={"h:1": (first, case.answered[1]), "h:2": (rest, 0)},
        aggregate={"upstream_rq_completed": case.assigned, **(case.aggregate or {})},
        member=case.member,
    )
    counted = count([ZERO], [after], TABLE.model_copy(update={"idempotent": case.idempotent}))
    assert (counted.candidate.bad, counted.candidate.n) == case.attempts
    assert (counted.assigned, counted.unserved) == (case.assigned, case.true)


@pytest.mark.parametrize(
    ("counters", "expected"),
    [
        ({"upstream_rq_completed": 3352}, Counts(n=3352)),
        ({"upstream_rq_completed": 3352, "upstream_rq_5xx": 166}, Counts(n=3352, bad=166)),
        ({"upstream_rq_completed": 900, "upstream_rq_retry_success": 7, "upstream_rq_5xx": 3}, Counts(n=900, bad=10)),
        ({"upstream_rq_completed": 900, "upstream_rq_429": 40}, Counts(n=900, bad=40)),
        ({"upstream_rq_total": 999}, Counts()),
    ],
)
def test_stable_is_judged_by_its_own_share(counters: dict[str, int], expected: Counts) -> None:
    assert count([ZERO], [replace(ZERO, clusters={S: counters})], TABLE).stable == expected


def test_the_two_members_response_codes_are_never_read() -> None:
    after = replace(ZERO, clusters={M: {"upstream_rq_5xx": 99, "upstream_rq_completed": 99}})
    assert count([ZERO], [after], TABLE) == Counted()


def test_rejections_are_counted_without_429_and_for_both() -> None:
    after = a_reading(
        endpoints={"h:1": (10, 0), "h:2": (0, 0)},
        stable={"upstream_rq_completed": 90, "upstream_rq_4xx": 5, "upstream_rq_429": 2},
        aggregate={"upstream_rq_completed": 10, "upstream_rq_4xx": 4},
    )
    assert count([ZERO], [after], TABLE).rejections == VersionCounts(
        candidate=Counts(n=10, bad=4), stable=Counts(n=90, bad=3)
    )


def test_latency_is_the_rise_of_every_bound_and_unknown_where_one_end_is() -> None:
    def told(candidate: tuple[int, ...], stable: tuple[int, ...], done: int) -> Reading:
        reading = a_reading(aggregate={"upstream_rq_completed": done}, stable={"upstream_rq_completed": done})
        return replace(reading, latency={A: whole(candidate), S: whole(stable)})

    def whole(found: tuple[int, ...]) -> tuple[int, ...]:
        return (*found, *found[-1:] * (len(GRID_MS) - len(found)))

    before, after = told((1, 5), (), 5), told((3, 9), (4, 8), 9)
    assert count([before], [after], TABLE).latency == Histograms(candidate=whole((2, 4)), stable=())
    fresh = told((), (), 0)
    assert count([fresh], [after], TABLE).latency == Histograms(candidate=whole((3, 9)), stable=whole((4, 8)))


def test_before_there_is_a_candidate_stable_is_counted_alone() -> None:
    table = TABLE.model_copy(update={"candidate": None, "weight": 0})
    after = a_reading(stable={"upstream_rq_completed": 5}, aggregate={"upstream_rq_completed": 5})
    five = Counts(n=5)
    assert count([ZERO], [after], table) == Counted(stable=five, rejections=VersionCounts(stable=five))


def test_a_cluster_that_appeared_counts_from_zero() -> None:
    before = Reading("e1", NOW, {}, {})
    after = a_reading(endpoints={"h:1": (8, 2)}, aggregate={"upstream_rq_completed": 10})
    assert count([before], [after], TABLE).candidate == Counts(n=10, bad=2)


def test_two_of_one_name_are_told_apart_by_their_identity() -> None:
    edited = VersionSpec(artifact="sha256:other").ref("1.0.0")
    table = Table(model="iris", stable=STABLE, candidate=edited, weight=1, pins=(STABLE, edited))
    member = key_of(Role.SPLIT, table, edited)
    assert member.identity == edited.identity
    after = Reading("e1", NOW, {}, {member: {"h:1": (3, 1)}})
    assert count([Reading("e1", NOW, {}, {})], [after], table).candidate == Counts(n=4, bad=1)


class TestGap:
    def test_no_gateway_is_a_gap(self) -> None:
        with pytest.raises(Gap, match="no gateway"):
            count([ZERO], [], TABLE)

    def test_a_gateway_that_went_is_a_gap(self) -> None:
        with pytest.raises(Gap, match="e2 did not tell"):
            count([ZERO, replace(ZERO, gateway="e2")], [ZERO], TABLE)

    def test_a_gateway_that_came_is_a_gap(self) -> None:
        with pytest.raises(Gap, match="e2 was not counted before"):
            count([ZERO], [ZERO, replace(ZERO, gateway="e2")], TABLE)

    def test_an_endpoint_that_left_is_a_gap(self) -> None:
        before = a_reading(endpoints={"h:1": (5, 0), "h:2": (181, 0)})
        with pytest.raises(Gap, match=r"endpoint h:2 of 1_1_0 left"):
            count([before], [a_reading(endpoints={"h:1": (9, 0)})], TABLE)

    @pytest.mark.parametrize("now", [(4, 1), (9, 0)])
    def test_an_endpoint_that_was_restarted_is_a_gap(self, now: tuple[int, int]) -> None:
        before = a_reading(endpoints={"h:1": (5, 1)})
        with pytest.raises(Gap, match="started anew"):
            count([before], [a_reading(endpoints={"h:1": now})], TABLE)

    @pytest.mark.parametrize("which", ["stable", "aggregate"])
    def test_a_counter_that_fell_is_a_gap(self, which: str) -> None:
        high, low = {"upstream_rq_completed": 9}, {"upstream_rq_completed": 3}
        before, after = (
            (a_reading(stable=high), a_reading(stable=low))
            if which == "stable"
            else (a_reading(aggregate=high), a_reading(aggregate=low))
        )
        with pytest.raises(Gap, match="started anew"):
            count([before], [after], TABLE)

    def test_a_restarted_gateway_is_a_gap_though_every_counter_is_higher(self) -> None:
        before = a_reading(uptime_s=100, stable={"upstream_rq_completed": 1})
        after = a_reading(at=5, uptime_s=4, stable={"upstream_rq_completed": 9})
        with pytest.raises(Gap, match="restarted"):
            count([before], [after], TABLE)

    def test_a_gateway_that_was_not_restarted_is_no_gap(self) -> None:
        before, after = a_reading(uptime_s=100), a_reading(at=5, uptime_s=104)
        assert count([before], [after], TABLE) == Counted()


class TestComparable:
    def test_tables_with_another_weight_are_comparable(self) -> None:
        assert comparable(TABLE, TABLE.model_copy(update={"weight": 5000}))

    @pytest.mark.parametrize(
        "change",
        [
            {"attempt": 2},
            {"candidate": None, "weight": 0},
            {"stable": CANDIDATE, "candidate": STABLE},
            {"pins": (STABLE, VersionSpec(artifact="other").ref("1.0.0"), CANDIDATE)},
        ],
    )
    def test_other_versions_or_other_cluster_names_are_not_comparable(self, change: dict[str, object]) -> None:
        assert not comparable(TABLE, TABLE.model_copy(update=change))


# Properties: any history of any number of gateways

COUNTERS = st.fixed_dictionaries(
    {},
    optional={
        name: st.integers(0, 1000)
        for name in (
            "upstream_rq_completed",
            "upstream_rq_5xx",
            "upstream_rq_429",
            "upstream_rq_retry",
            "upstream_rq_retry_success",
            "upstream_rq_timeout",
            "upstream_cx_connect_fail",
            "upstream_cx_destroy_local_with_active_rq",
            "upstream_cx_destroy_remote_with_active_rq",
        )
    },
)
ENDPOINTS = st.dictionaries(
    st.sampled_from(("h:1", "h:2", "h:3")), st.tuples(st.integers(0, 500), st.integers(0, 500)), max_size=3
)


@st.composite
def rising(draw: st.DrawFn, gateway: str) -> tuple[Reading, Reading]:
    """Two readings between which no counter fell and no endpoint left."""
    old, new = draw(ENDPOINTS), draw(ENDPOINTS)
    endpoints = {
        address: (old.get(address, (0, 0))[0] + more[0], old.get(address, (0, 0))[1] + more[1])
        for address, more in {**dict.fromkeys(old, (0, 0)), **new}.items()
    }
    before: dict[ClusterKey, dict[str, int]] = {key: draw(COUNTERS) for key in (S, A, M)}
    after = {
        key: {
            name: counters.get(name, 0) + more
            for name, more in {**dict.fromkeys(counters, 0), **draw(COUNTERS)}.items()
        }
        for key, counters in before.items()
    }
    ended: dict[ClusterKey, dict[str, int]] = {M: {address: draw(st.integers(0, 50)) for address in endpoints}}
    first = Reading(gateway, NOW, before, {M: old})
    return first, Reading(gateway, NOW, after, {M: endpoints}, timeouts=ended)


@given(rising("e1"), rising("e2"))
def test_two_gateways_count_what_each_counts_alone(one: tuple[Reading, Reading], two: tuple[Reading, Reading]) -> None:
    both = count([one[0], two[0]], [two[1], one[1]], TABLE)
    assert both == count([one[0]], [one[1]], TABLE).plus(count([two[0]], [two[1]], TABLE))


@given(rising("e1"))
def test_nothing_is_ever_counted_twice_or_below_zero(pair: tuple[Reading, Reading]) -> None:
    counted = count([pair[0]], [pair[1]], TABLE)
    assert 0 <= counted.candidate.bad <= counted.candidate.n
    assert 0 <= counted.stable.bad <= counted.stable.n
    assert 0 <= counted.unserved <= counted.assigned
    assert counted.failures.candidate.late <= counted.candidate.n


@given(rising("e1"))
def test_every_bad_request_failed_in_exactly_one_way(pair: tuple[Reading, Reading]) -> None:
    counted = count([pair[0]], [pair[1]], TABLE)
    assert counted.failures.candidate.bad == counted.candidate.bad
    assert counted.failures.stable.bad == counted.stable.bad


@given(rising("e1"))
def test_a_reset_never_counts(pair: tuple[Reading, Reading]) -> None:
    before, after = pair
    if before == after:
        return
    try:
        counted = count([after], [before], TABLE)
    except Gap:
        return
    assert counted == Counted()


@given(rising("e1"))
def test_a_window_in_which_nothing_happened_counts_nothing(pair: tuple[Reading, Reading]) -> None:
    assert count([pair[1]], [pair[1]], TABLE) == Counted()
