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
from fairlead.contracts.window import Failures
from fairlead.rehearsal.schedule import Behaviours
from fairlead.rehearsal.virtual.gateway import SimulatedGateway
from fairlead.rehearsal.virtual.instances import Ending, Instance, send
from fairlead.rehearsal.virtual.responses import draw, draw_latencies, failure_probability, latency_shares
from fairlead.rollout.analysis.counts import Counted, Gap, count
from fairlead.rollout.analysis.envoy_stats import parse_stats
from fairlead.rollout.ports import Reading
from fairlead.routing.envoy.clusters import EJECT_AFTER, EJECTION_S

STABLE, CANDIDATE = VersionSpec().ref("stable"), VersionSpec().ref("candidate")
GOOD = np.full(10, Ending.OK)
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
    made, rng = gateway(), np.random.default_rng(2)
    seen = made.serve(1000, Behaviours(Behaviour(), Behaviour(errors=0.2)), now=0, rng=rng)
    assert seen.candidate_failed > 50
    assert seen.bad == 0


def test_stables_own_failures_reach_users() -> None:
    seen = gateway().serve(
        1000, Behaviours(Behaviour(errors=1.0), Behaviour(errors=1.0)), now=0, rng=np.random.default_rng(1)
    )
    assert seen.bad == 1000


def slow(seconds: float, **more: object) -> Behaviour:
    return Behaviour.model_validate({"latency": Latency(median=seconds, sigma=0), **more})


@pytest.mark.parametrize(
    ("candidate", "stable", "bad", "failures"),
    [
        pytest.param(slow(2.5), slow(2.5), 0, Failures(late=30), id="both slower than perTry: the candidate is first"),
        pytest.param(slow(2.5), slow(0.01), 0, Failures(late=5), id="slower than stable: stable is first, ejected"),
        pytest.param(slow(60), slow(7.9), 0, Failures(late=5), id="hangs: stable has what is left of request"),
        pytest.param(slow(60), slow(8.1), 5, Failures(timed_out=5), id="hangs: that is not enough for stable"),
        pytest.param(slow(2.5, errors=1.0), slow(1.0), 0, Failures(late=5), id="fails after perTry"),
    ],
)
def test_stable_is_asked_after_the_limit_and_has_the_rest_of_the_time(
    candidate: Behaviour, stable: Behaviour, bad: int, failures: Failures
) -> None:
    made, before = gateway(10_000), reading(gateway(10_000), 0)
    seen = made.serve(30, Behaviours(stable, candidate), now=0, rng=np.random.default_rng(1))
    found = count([before], [reading(made, 1)], table())
    assert (seen.bad, found.failures.candidate, found.assigned) == (bad, failures, 30)


def test_an_attempt_that_exceeds_the_timeout_is_a_failure() -> None:
    assert failure_probability(slow(3.0), 2.0) == 1.0
    assert failure_probability(slow(3.0), 10.0) == 0.0


@given(median=st.floats(0.001, 30), sigma=st.floats(0.05, 2), above=st.floats(0.001, 20))
def test_latencies_above_a_limit_are_above_it(median: float, sigma: float, above: float) -> None:
    latency = Latency(median=median, sigma=sigma)
    assert (draw_latencies(latency, 20, np.random.default_rng(1), above_s=above) >= above).all()


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
    @pytest.mark.parametrize("ending", [Ending.FAILED, Ending.OVERTAKEN, Ending.TIMED_OUT])
    def test_an_instance_is_ejected_after_several_failures_in_a_row(self, ending: Ending) -> None:
        instance, rng = Instance("a"), np.random.default_rng(1)
        assert send([instance], np.full(100, ending), now=10.0, rng=rng) == EJECT_AFTER
        assert send([instance], GOOD, now=10.0 + EJECTION_S - 1, rng=rng) == 0
        assert send([instance], GOOD, now=10.0 + EJECTION_S, rng=rng) == instance.ok == len(GOOD)

    def test_an_answer_after_the_limit_ejects_no_instance(self) -> None:
        instance, rng = Instance("a"), np.random.default_rng(1)
        assert send([instance], np.full(100, Ending.LATE), now=10.0, rng=rng) == instance.ok == 100

    def test_each_ejection_lasts_longer(self) -> None:
        instance, rng = Instance("a"), np.random.default_rng(1)
        send([instance], np.full(EJECT_AFTER, Ending.FAILED), now=0.0, rng=rng)
        send([instance], np.full(EJECT_AFTER, Ending.FAILED), now=10.0, rng=rng)
        assert instance.ejected_until == 10.0 + 2 * EJECTION_S

    def test_the_other_instances_get_the_requests_meanwhile(self) -> None:
        instances, rng = [Instance("a"), Instance("b")], np.random.default_rng(1)
        instances[0].ejected_until = 60.0
        assert send(instances, GOOD, now=0.0, rng=rng) == len(GOOD)
        assert (instances[0].ok, instances[1].ok) == (0, len(GOOD))


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
