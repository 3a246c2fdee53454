"""Requests that keep models busy for seconds: the candidate's ones must not take stable down with it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from fairlead.contracts.gateway import ROUTED_HEADER
from fairlead.contracts.window import Counts, Failures
from fairlead.rollout.analysis.counts import Counted, count
from fairlead.rollout.analysis.envoy_stats import EnvoyStats
from integration.routing.backends import Backends
from integration.routing.edge import V1, V2, an_edge, iris, serving, until
from integration.routing.spill_scene import PATH, Clients, Scene, a_scene

PLAYED_S = 12.0
SLOW_S, PER_TRY_S, REQUEST_S = 2.0, 0.5, 3.0


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    limits = {"per_try_timeout_s": PER_TRY_S, "request_timeout_s": REQUEST_S}
    with a_scene(tmp_path_factory.mktemp("spill"), 1000, **limits) as scene:
        yield scene


@contextmanager
def counting(scene: Scene) -> Iterator[list[Counted]]:
    """Counts what happens in the block; the list has it afterwards."""
    stats, counted = EnvoyStats("127.0.0.1", scene.edge.admin_port), list[Counted]()
    before = stats.read()
    yield counted
    counted.append(count(before, stats.read(), scene.routed.table))
    stats.close()


def test_every_failure_of_a_candidate_that_fails_at_half_of_its_rows_is_hidden(scene: Scene) -> None:
    users = [*scene.users_of(V1, 4), *scene.users_of(V2, 4)]
    refused = scene.stable.metric("fairlead_model_rejected_total")
    # With pauses: what the machine adds to a call is taken from the budget, and these clients must not be its load.
    with scene.clients("users", users, {"seconds": "0.005", "fails": "0.5"}, pause_s=0.05):
        until(lambda: scene.candidate.metric("fairlead_model_failures_total") > 20)
    assert scene.failures("users") == 0
    assert scene.stable.metric("fairlead_model_rejected_total") == refused


def test_where_stable_refuses_the_candidate_is_waited_for_and_its_answers_are_late(scene: Scene) -> None:
    [own], [slow] = scene.users_of(V1, 1), scene.users_of(V2, 1)
    with scene.edge.client() as client:
        for _ in range(5):
            scene.send(client, "quick", own, {"seconds": "0.002"})
        until(lambda: scene.send(client, "quick", slow, {}) == V2.version)  # else it is still ejected
        with counting(scene) as counted:
            for _ in range(3):
                scene.send(client, "one", slow, {"seconds": f"{SLOW_S}"})
    assert scene.seen["one"] == {(200, V2.version): 3}
    assert scene.stable.metric("fairlead_model_rejected_total", reason="spill") >= 2
    assert (counted[0].candidate, counted[0].failures.candidate) == (Counts(n=3), Failures(late=3))


@dataclass
class Played:
    """What happened while eight clients of the candidate sent bodies that keep a model busy."""

    scene: Scene
    counted: Counted
    ejections: dict[str, int]


@pytest.fixture(scope="module")
def played(scene: Scene) -> Played:
    own, slow = scene.users_of(V1, 8), scene.users_of(V2, 8)
    with (
        scene.clients("own", own, {"seconds": "0.002"}, pause_s=0.5),
        scene.clients("slow", slow, {"seconds": f"{SLOW_S}"}, pause_s=0.1),
        counting(scene) as counted,
    ):
        threading.Event().wait(PLAYED_S)
    return Played(scene, counted[0], scene.ejections())


class TestASlowBody:
    """Before, 32 of 38 requests of stable's own users failed."""

    def test_no_user_of_stable_gets_an_error(self, played: Played) -> None:
        assert played.scene.seen["own"].total() > 100
        assert played.scene.failures("own") == 0

    def test_stable_runs_few_of_them_and_refuses_the_others(self, played: Played) -> None:
        assert played.scene.slowest["own"] < SLOW_S + 1
        assert played.scene.stable.metric("fairlead_model_rejected_total", reason="spill") > 20
        assert played.scene.seen["slow"][503, V1.version] > 0

    def test_no_instance_of_stable_is_ejected_and_the_candidates_is(self, played: Played) -> None:
        assert {name for name, count in played.ejections.items() if count} == {"split~default~iris~1_1_0"}

    def test_it_counts_against_the_candidate_alone(self, played: Played) -> None:
        failures = played.counted.failures
        assert failures.candidate.timed_out + failures.candidate.late >= 8
        assert played.counted.stable.bad == 0
        assert played.counted.unserved >= played.counted.assigned - 3


class TestTheHeader:
    """What the gateway tells a service about the version to which it had routed a request."""

    @pytest.mark.parametrize(("weight", "named"), [(5000, V2.version), (10_000, None)])
    def test_the_version_is_on_every_try_unless_the_candidate_has_all_requests(
        self, tmp_path: Path, backends: Backends, weight: int, named: str | None
    ) -> None:
        stable, candidate = backends.start(V1.version), backends.start(V2.version, status=500)
        with an_edge(tmp_path) as edge:
            edge.endpoints["default", "iris", V1] = [stable.endpoint]
            edge.endpoints["default", "iris", V2] = [candidate.endpoint]
            routed = iris(1, weight)
            with serving(edge, routed), edge.client() as client:
                clients = Clients(url=edge.url, routed=routed)
                for user in clients.users_of(V2, 12):  # five tries, then the candidate is ejected
                    clients.send(client, "users", user, {})
        assert len(candidate.seen) >= 5
        assert len(stable.seen) == 12
        seen = [one.headers.get(ROUTED_HEADER) for one in (*candidate.seen, *stable.seen)]
        assert set(seen) == {named}

    def test_stables_own_share_has_none_and_clients_cannot_send_it(self, tmp_path: Path, backends: Backends) -> None:
        stable = backends.start(V1.version)
        with an_edge(tmp_path) as edge:
            edge.endpoints["default", "iris", V1] = [stable.endpoint]
            with serving(edge, iris(1, 0)), edge.client(headers={ROUTED_HEADER: V2.version}) as client:
                client.post(PATH)
        assert ROUTED_HEADER not in stable.seen[0].headers
