"""A simulated gateway reports counters as Envoy does: the estimator reads from its page exactly what was served."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.latency import GRID_MS
from fairlead.contracts.route import VersionSpec
from fairlead.contracts.scenario import Behaviour, Latency
from fairlead.contracts.table import Table
from fairlead.rehearsal.schedule import Behaviours
from fairlead.rehearsal.virtual.gateway import SimulatedGateway
from fairlead.rehearsal.virtual.instances import Instance, send
from fairlead.rehearsal.virtual.responses import draw, failure_probability, latency_shares
from fairlead.rollout.analysis.counts import Counted, Gap, count
from fairlead.rollout.analysis.envoy_stats import parse_stats
from fairlead.rollout.ports import Reading
from fairlead.routing.envoy.clusters import EJECT_AFTER, EJECTION_S

STABLE, CANDIDATE = VersionSpec().ref("stable"), VersionSpec().ref("candidate")
shares = st.sampled_from((0.0, 0.01, 0.3, 1.0))


def table(weight: int = 5000, attempt: int = 1) -> Table:
    pins = (STABLE, CANDIDATE)
    return Table(model="x", stable=STABLE, candidate=CANDIDATE, weight=weight, pins=pins, attempt=attempt)


def gateway(weight: int = 5000) -> SimulatedGateway:
    made = SimulatedGateway("g", started_at=0)
    made.program(1, table(weight))
    return made


def reading(of: SimulatedGateway, at_s: float) -> Reading:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=at_s)
    return parse_stats(of.stats_page(at_s), gateway=of.name, at=at)


def counted(of: SimulatedGateway, behaviours: Behaviours, n: int, seed: int = 1) -> Counted:
    """What the estimator counts in one second with `n` requests, after another such second."""
    rng = np.random.default_rng(seed)
    of.serve(n, behaviours, now=0, rng=rng)
    before = reading(of, 1)
    of.serve(n, behaviours, now=1, rng=rng)
    return count([before], [reading(of, 2)], table())


@given(n=st.integers(1, 400), errors=shares, rejections=shares, instances=st.integers(0, 3), seed=st.integers(0, 99))
def test_every_request_is_counted_once_and_for_the_right_version(
    n: int, errors: float, rejections: float, instances: int, seed: int
) -> None:
    candidate = Behaviour(errors=errors, rejections=rejections, instances=instances)
    found = counted(gateway(), Behaviours(Behaviour(), candidate), n, seed)
    assert found.assigned + found.stable.n == n
    assert found.candidate.n <= found.assigned
    assert found.unserved == found.assigned - found.candidate.n + found.candidate.bad
    assert found.stable.bad == 0
    assert instances or found.candidate.n == 0
    assert errors > 0 or found.candidate.bad == 0
    assert rejections > 0 or found.rejections.candidate.bad == 0
    assert sum(found.latency.candidate[-1:]) == found.assigned


def test_the_candidates_failures_go_to_stable_and_reach_no_user() -> None:
    made, rng = gateway(), np.random.default_rng(1)
    seen = made.serve(1000, Behaviours(Behaviour(), Behaviour(errors=0.2)), now=0, rng=rng)
    assert seen.candidate_failed > 50
    assert seen.bad == 0


def test_stables_own_failures_reach_users() -> None:
    seen = gateway().serve(
        1000, Behaviours(Behaviour(errors=1.0), Behaviour(errors=1.0)), now=0, rng=np.random.default_rng(1)
    )
    assert seen.bad == 1000


def test_an_attempt_that_exceeds_the_timeout_is_a_failure() -> None:
    slow = Behaviour(latency=Latency(median=3.0, sigma=0))
    assert failure_probability(slow, 2.0) == 1.0
    assert failure_probability(slow, 10.0) == 0.0


def test_a_gateway_restart_resets_its_counters_and_the_estimator_sees_a_gap() -> None:
    made, rng = gateway(), np.random.default_rng(1)
    made.serve(100, Behaviours(Behaviour(), Behaviour()), now=0, rng=rng)
    before = reading(made, 10)
    made.restart(11)
    with pytest.raises(Gap, match="started anew|restarted"):
        count([before], [reading(made, 15)], table())


def test_the_counters_of_a_removed_instance_are_removed() -> None:
    made, rng = gateway(), np.random.default_rng(1)
    made.serve(100, Behaviours(Behaviour(), Behaviour(instances=2)), now=0, rng=rng)
    before = reading(made, 5)
    made.serve(100, Behaviours(Behaviour(), Behaviour(instances=1)), now=5, rng=rng)
    with pytest.raises(Gap, match="left gateway"):
        count([before], [reading(made, 10)], table())


def test_a_new_attempt_starts_without_candidate_counters() -> None:
    made, rng = gateway(), np.random.default_rng(1)
    made.serve(100, Behaviours(Behaviour(), Behaviour(errors=1.0)), now=0, rng=rng)
    made.program(2, table(attempt=2))
    assert "candidate" not in made.stats_page(1)
    assert "stable" in made.stats_page(1)


class TestEjection:
    def test_an_instance_is_ejected_after_several_failures_in_a_row(self) -> None:
        instance, rng = Instance("a"), np.random.default_rng(1)
        tried = send([instance], 100, 1.0, now=10.0, rng=rng)
        assert (tried.failed, tried.spilled) == (EJECT_AFTER, 100 - EJECT_AFTER)
        assert send([instance], 10, 0.0, now=10.0 + EJECTION_S - 1, rng=rng).spilled == 10
        assert send([instance], 10, 0.0, now=10.0 + EJECTION_S, rng=rng).ok == 10

    def test_each_ejection_lasts_longer(self) -> None:
        instance, rng = Instance("a"), np.random.default_rng(1)
        send([instance], EJECT_AFTER, 1.0, now=0.0, rng=rng)
        send([instance], EJECT_AFTER, 1.0, now=10.0, rng=rng)
        assert instance.ejected_until == 10.0 + 2 * EJECTION_S

    def test_the_other_instances_get_the_requests_meanwhile(self) -> None:
        instances, rng = [Instance("a"), Instance("b")], np.random.default_rng(1)
        instances[0].ejected_until = 60.0
        tried = send(instances, 50, 0.0, now=0.0, rng=rng)
        assert (tried.ok, instances[0].ok, instances[1].ok) == (50, 0, 50)


@given(median=st.floats(0.0005, 30), sigma=st.floats(0, 2), limit=st.floats(0.05, 60), n=st.integers(0, 1000))
def test_every_response_is_in_one_latency_bucket(median: float, sigma: float, limit: float, n: int) -> None:
    latency = Latency(median=median, sigma=sigma)
    distribution = latency_shares(latency, limit)
    assert len(distribution.shares) == len(GRID_MS) + 1
    assert all(share >= 0 for share in distribution.shares)
    assert sum(distribution.shares) == pytest.approx(1)
    drawn = draw(Behaviour(latency=latency), n, limit_s=limit, rng=np.random.default_rng(1))
    assert (drawn.n, int(drawn.buckets.sum())) == (n, n)


def test_half_of_the_responses_are_faster_than_the_median() -> None:
    shares = latency_shares(Latency(median=0.032, sigma=0.7), 60.0).shares
    assert sum(shares[: GRID_MS.index(32) + 1]) == pytest.approx(0.5)
