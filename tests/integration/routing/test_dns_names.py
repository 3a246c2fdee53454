"""Gateways that find instances by DNS name: wrong DNS answers, reused addresses, draining pods."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from fairlead.contracts.gateway import READY_PATH, SERVICE_HEADER
from fairlead.contracts.labels import service_host
from fairlead.contracts.route import VersionRef
from fairlead.routing.envoy.health_checks import EVERY_S, JITTER_PERCENT, TIMEOUT_S
from fairlead.routing.snapshot import Endpoint
from integration.routing.backends import Backend, Backends
from integration.routing.edge import V1, V2, Edge, an_edge, iris, serving, until
from support.background import repeat_in_background
from support.nameserver import NameServer, running_nameserver
from support.processes import free_ports

HOST = {ref: service_host("iris", ref, "models").removesuffix(".") for ref in (V1, V2)}
HALF = iris(1, 5000)
A_CHECK_S = EVERY_S * (1 + JITTER_PERCENT / 100)


@dataclass
class Named:
    """A gateway with two versions of two instances each, whose addresses come from a name server."""

    edge: Edge
    names: NameServer
    running: Mapping[VersionRef, list[Backend]]
    backends: Backends
    port: int

    def lose(self, ref: VersionRef, *, no_such_name: bool = False) -> None:
        """Make the name resolve to nothing; wait until every cluster has resolved it again."""
        self.names.known[HOST[ref]] = None if no_such_name else ()
        self.asked_again(ref)

    def asked_again(self, *refs: VersionRef) -> None:
        """Wait until every cluster has resolved these names again."""
        # Of this table: direct, split and fallback of stable; direct and split of the candidate. Twice each, because
        # a response may have been in flight and the clusters do not resolve in turn.
        wanted = {HOST[ref]: self.names.names[HOST[ref]] + (6 if ref == V1 else 4) for ref in refs}
        until(lambda: all(self.names.names[name] >= count for name, count in wanted.items()), timeout_s=30)

    def answers(self, count: int, headers: Mapping[str, str] | None = None) -> Counter[str]:
        """Send this many requests; count them by the version that answered, or by status if none did."""
        with self.edge.client() as client:
            return Counter(
                _version_or_status(client.post("/models/iris/predict", headers=headers)) for _ in range(count)
            )

    def statistic(self, name: str) -> int:
        """One of Envoy's counters."""
        text = httpx.get(f"http://127.0.0.1:{self.edge.admin_port}/stats?filter={name}$", trust_env=False).text
        return sum(int(line.rsplit(": ", 1)[1]) for line in text.splitlines())


def _version_or_status(answer: httpx.Response) -> str:
    return str(answer.json()["version"] if answer.status_code == 200 else answer.status_code)


@pytest.fixture
def named(tmp_path: Path, backends: Backends) -> Iterator[Named]:
    [port] = free_ports(1)
    with running_nameserver("127.0.0.1") as names, an_edge(tmp_path, names=names) as edge:
        running = {}
        for place, ref in enumerate((V1, V2)):
            hosts = tuple(f"127.0.3.{10 * place + number}" for number in (1, 2))
            running[ref] = [backends.start(ref.version, port=port, host=host) for host in hosts]
            names.known[HOST[ref]] = hosts
            edge.endpoints["default", "iris", ref] = [Endpoint(f"{HOST[ref]}.", port)]
        yield Named(edge, names, running, backends, port)


@contextmanager
def under_load(edge: Edge, headers: Mapping[str, str] | None = None) -> Iterator[Counter[str]]:
    """Sends requests until the end of the block; counts them by version."""
    said: Counter[str] = Counter()
    with edge.client() as client:

        def ask() -> None:
            said[_version_or_status(client.post("/models/iris/predict", headers=headers))] += 1

        with repeat_in_background(ask, pause_s=0.01):
            yield said


def seen_by(one: Backend, path: str = "/predict") -> int:
    return sum(request.path == path for request in one.seen)


def test_names_that_do_not_resolve_for_a_while_fail_no_request(named: Named) -> None:
    with (
        serving(named.edge, HALF),
        under_load(named.edge) as split,
        under_load(named.edge, {"x-model-version": V1.version}) as pinned,
    ):
        named.lose(V1)
        named.lose(V2, no_such_name=True)
    assert split.keys() == {V1.version, V2.version}
    assert pinned.keys() == {V1.version}


def test_a_draining_instance_gets_no_request_after_the_next_check_even_when_dns_is_unchanged(
    named: Named,
) -> None:
    going, staying = named.running[V1]
    with serving(named.edge, iris(1, 0)), under_load(named.edge) as said:
        going.ready = 503
        checked = len(going.checks)
        until(lambda: len(going.checks) >= checked + 6)  # three clusters; the last two of each may be its recheck
        until(lambda: _is_left_alone(going))
        named.backends.kill(going)
        before = said.total()
        until(lambda: said.total() > before + 200)
    assert said.keys() == {V1.version}
    assert seen_by(staying) > 200


def test_instances_that_drain_get_no_request_also_when_they_are_the_most_of_them(named: Named) -> None:
    """Before, the gateway asked all again, because more than half were lost: after a scale-down, closed ports."""
    *going, staying = [*named.running[V1], named.backends.start(V1.version, port=named.port, host="127.0.3.3")]
    named.names.known[HOST[V1]] = tuple(one.host for one in (*going, staying))
    with serving(named.edge, iris(1, 0)), under_load(named.edge) as said:
        until(lambda: seen_by(staying) > 0)
        for one in going:
            one.ready, one.drains = 503, True
        until(lambda: all(_is_left_alone(one) for one in going))
        for one in going:
            named.backends.kill(one)
        before = said.total()
        until(lambda: said.total() > before + 200)
    assert said.keys() == {V1.version}


def test_instances_that_drain_still_get_requests_when_there_are_no_others(named: Named) -> None:
    with serving(named.edge, iris(1, 0)):
        checked = [len(one.checks) for one in named.running[V1]]
        for one in named.running[V1]:
            one.ready, one.drains = 503, True
        until(lambda: all(len(one.checks) >= count + 6 for one, count in zip(named.running[V1], checked, strict=True)))
        assert named.answers(50) == {V1.version: 50}


def _is_left_alone(one: Backend, for_s: float = 0.5) -> bool:
    before = len(one.seen)
    threading.Event().wait(for_s)
    return len(one.seen) == before


@pytest.mark.parametrize("status", [404, 421])
def test_an_address_that_now_belongs_to_another_service_is_dropped_at_the_next_check(named: Named, status: int) -> None:
    gone, _ = named.running[V1]
    with serving(named.edge, iris(1, 0)), under_load(named.edge) as said:
        named.lose(V1)
        named.backends.kill(gone)
        other = named.backends.start("other", port=named.port, host=gone.host)
        other.ready = status
        until(lambda: len(other.checks) >= 6, timeout_s=2 * A_CHECK_S + 5)
        until(lambda: _is_left_alone(other))
        named.asked_again(V1)
        assert _is_left_alone(other)
        del said["other"]  # requests between two checks, sent to an address that was correct when resolved
        before = said.total()
        until(lambda: said.total() > before + 100)
    assert said.keys() == {V1.version}


def test_a_check_carries_the_service_name(named: Named) -> None:
    with serving(named.edge, HALF):
        for ref, running in named.running.items():
            asked = {(check.path, check.headers[SERVICE_HEADER]) for one in running for check in one.checks}
            assert asked == {(READY_PATH, HOST[ref])}


def test_a_passing_check_does_not_end_an_ejection(named: Named) -> None:
    failing, _ = named.running[V1]
    with serving(named.edge, iris(1, 0)):
        failing.status = 500
        named.answers(40)
        until(lambda: named.statistic("split.*ejections_active") == 1)
        failed, checked = len(failing.seen), len(failing.checks)
        until(lambda: len(failing.checks) >= checked + 3)  # one of each cluster
        assert named.answers(40) == {V1.version: 40}
        assert len(failing.seen) == failed


def test_a_candidate_whose_checks_time_out_twice_keeps_its_share(named: Named) -> None:
    with serving(named.edge, iris(1, 10_000)):
        for one in named.running[V2]:
            one.ready = None
        # Two failed checks of each instance; a third one would be seconds away.
        until(lambda: named.statistic("split.*1_1_0.health_check.network_failure") >= 4, timeout_s=3 * TIMEOUT_S + 10)
        assert named.answers(50) == {V2.version: 50}


def test_checks_are_not_counted_as_requests(named: Named) -> None:
    with serving(named.edge, iris(1, 10_000)):
        named.answers(50)
        until(lambda: all(len(one.checks) >= 4 for one in named.running[V2]))
        counted = named.statistic(r"split.*1_1_0.endpoint.*\.rq_(success|total)")
        assert counted == 100  # each request as one of the total and one success
        assert named.statistic("aggregate.*1_1_0.upstream_rq_completed") == 50
        assert sum(seen_by(one) for one in named.running[V2]) == 50
    assert len((named.edge.folder / "access.log").read_text().splitlines()) == 50


def test_a_stable_version_without_any_ready_instance_still_gets_requests(named: Named) -> None:
    for one in named.running[V1]:
        one.ready = 404
    with serving(named.edge, iris(1, 0)):
        assert named.answers(50) == {V1.version: 50}


def test_a_new_version_that_does_not_resolve_or_answer_delays_no_other_route(named: Named) -> None:
    named.names.known[HOST[V2]] = None
    with serving(named.edge, iris(1, 0, candidate=None, pins=(V1,))):
        assert named.edge.serve(iris(2, 0)) < 2
        named.names.known[HOST[V2]] = [one.host for one in named.running[V2]]
        for one in named.running[V2]:
            one.ready = None
        named.edge.serve(iris(3, 0, candidate=None, pins=(V1,)))
        assert named.edge.serve(iris(4, 0)) < TIMEOUT_S + 2
