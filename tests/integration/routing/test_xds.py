"""REST xDS with real Envoys: several gateways, several replicas, rejections, starts and restarts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median

import httpx
import pytest

from fairlead.errors import Conflict, Refused, Unavailable
from fairlead.routing.publish.admin import AdminClient
from integration.routing.backends import Backends
from integration.routing.edge import V1, V2, bad, iris, until
from integration.routing.replicas import Gateways, Replica, load, served, some_gateways
from support.background import repeat_in_background
from support.relay import running_relay
from support.version_recorder import VersionRecorder, recording_versions


@pytest.fixture
def gateways(tmp_path: Path, backends: Backends) -> Iterator[Gateways]:
    with some_gateways(tmp_path) as made:
        for ref in (V1, V2):
            made.endpoints["default", "iris", ref] = [backends.start(ref.version).endpoint]
        yield made


@contextmanager
def stepping(replica: Replica) -> Iterator[None]:
    """Runs the leader's loop."""
    with repeat_in_background(replica.publisher.step, pause_s=0.02):
        yield


def gateways_version(admin_port: int) -> str:
    with closing(AdminClient("127.0.0.1", admin_port)) as admin:
        sample = admin.read()
    return sample.versions.get("rds", "") if sample else ""


def rejections(gateways: Gateways) -> list[int]:
    """How many updates each gateway has rejected, by its log."""
    logs = [gateways.folder / site.name / "envoy.log" for site in gateways.discovery.sites]
    return [log.read_text().count("rejected") for log in logs]


def test_changing_versions_of_two_gateways_under_load_fails_no_request(gateways: Gateways) -> None:
    replica = gateways.replica()
    replica.publisher.want(gateways.compiled(iris(1, 0)))
    replica.publisher.step()
    for name in ("edge-1", "edge-2"):
        gateways.add(name, replica.port)
    until(lambda: served(replica, 1))
    with load(gateways) as seen:
        for round_ in range(4):
            seq = 10 * round_
            replica.settle(gateways.compiled(iris(seq + 2, 5000)))
            replica.settle(gateways.compiled(iris(seq + 3, 10_000)))
            replica.settle(gateways.compiled(iris(seq + 4, 0, stable=V2, candidate=None)))
            replica.settle(gateways.compiled(iris(seq + 5, 0, stable=V1, candidate=None, pins=(V1,))))
    assert set(seen) == {200}
    assert seen[200] > 100


def two_gateways(gateways: Gateways, replica: Replica, port: int | None = None) -> None:
    """Both serve the first revision of iris."""
    replica.publisher.want(gateways.compiled(iris(1, 0)))
    replica.publisher.step()
    for name in ("edge-1", "edge-2"):
        gateways.add(name, port or replica.port)
    until(lambda: served(replica, 1))


def test_a_weight_change_is_served_by_every_gateway_within_a_fraction_of_a_second(gateways: Gateways) -> None:
    replica = gateways.replica()
    two_gateways(gateways, replica)
    times = []
    for seq in range(2, 22):
        replica.publisher.want(gateways.compiled(iris(seq, seq * 100)))
        times.append(until(lambda seq=seq: served(replica, seq), every_s=0.002))  # type: ignore[misc]
    assert median(times) < 0.3, f"milliseconds: {[round(one * 1000, 1) for one in times]}"


def test_a_rejected_table_is_reported_with_its_gateways_and_sent_to_each_at_most_once(gateways: Gateways) -> None:
    replica = gateways.replica()
    two_gateways(gateways, replica)
    with load(gateways, threads=1) as seen:
        replica.publisher.want(bad(gateways.compiled(iris(1, 0)), 2))
        until(lambda: replica.publisher.step().rejected)
        with stepping(replica):
            time.sleep(1.5)
        # Withdrawn at the first rejection, so the other gateway may never have been sent it.
        states = replica.publisher.gateways()
        assert [state.programmed for state in states] == [{"iris": 1}] * 2
        assert any("duration" in (state.rejected or "").lower() for state in states)
        with gateways.client() as client:
            assert client.post("/models/iris/predict").headers["x-route-revision"] == "iris.1"
        assert rejections(gateways) in ([1, 1], [0, 1], [1, 0])

        replica.settle(gateways.compiled(iris(3, 0)))
        assert [state.rejected for state in replica.publisher.gateways()] == [None, None]
    assert set(seen) == {200}


def test_a_new_leader_knows_what_was_rejected(gateways: Gateways) -> None:
    first, second = gateways.replica(), gateways.replica()
    with running_relay(first.port) as relay:
        two_gateways(gateways, first, relay.port)
        refused = bad(gateways.compiled(iris(1, 0)), 2)
        first.publisher.want(refused)
        until(lambda: first.publisher.step().rejected)
        second.publisher.follow()
        relay.to(second.port)
        second.publisher.want(refused)
        with stepping(second):
            time.sleep(1.0)
        states = second.publisher.gateways()
        assert [state.programmed for state in states] == [{"iris": 1}] * 2
        assert any(state.rejected for state in states)
        assert rejections(gateways) in ([1, 1], [0, 1], [1, 0])


def test_a_rejection_that_the_old_leader_did_not_see_is_seen_by_the_new_one(gateways: Gateways) -> None:
    first, second = gateways.replica(), gateways.replica()
    with running_relay(first.port) as relay:
        two_gateways(gateways, first, relay.port)
        refused = bad(gateways.compiled(iris(1, 0)), 2)
        first.publisher.want(refused)
        first.publisher.step()
        until(lambda: rejections(gateways) == [1, 1])
        relay.to(second.port)
        second.publisher.want(refused)
        until(lambda: second.publisher.step().rejected)
        with stepping(second):
            time.sleep(0.5)
        states = second.publisher.gateways()
        assert [state.programmed for state in states] == [{"iris": 1}] * 2
        assert any(state.rejected for state in states)


def test_a_gateway_that_moves_between_replicas_never_goes_back(gateways: Gateways) -> None:
    """The second replica lags behind on purpose; versions of every kind only rise, and the newest one arrives."""
    leader, follower = gateways.replica(hold_s=0.3), gateways.replica(hold_s=0.3)
    with running_relay(leader.port) as relay:
        two_gateways(gateways, leader, relay.port)
        envoys = [VersionRecorder(site.admin_port) for site in gateways.discovery.sites]
        follower.publisher.follow()
        with recording_versions(envoys), load(gateways, threads=1) as seen:
            for seq in range(2, 14):
                relay.to(follower.port if seq % 2 else leader.port)
                leader.publisher.want(gateways.compiled(iris(seq, seq * 500)))
                for _ in range(15):
                    leader.publisher.step()
                    time.sleep(0.02)
                if seq % 4 == 1:
                    follower.publisher.follow()
            follower.publisher.follow()
            relay.to(follower.port)
            until(lambda: served(leader, 13))
        for envoy in envoys:
            assert len(envoy.seen["rds"]) > 3
            assert not envoy.went_back
    assert set(seen) == {200}
    assert ("rds", "same") in follower.answers


def test_a_replica_with_an_older_version_holds_the_request_and_sends_nothing(gateways: Gateways) -> None:
    leader, behind = gateways.replica(), gateways.replica(hold_s=0.2)
    leader.publisher.want(gateways.compiled(iris(1, 0)))
    leader.publisher.step()
    behind.publisher.follow()
    leader.publisher.want(gateways.compiled(iris(2, 100)))
    leader.publisher.step()
    newer, older = leader.cache.get("rds"), behind.cache.get("rds")
    assert newer is not None
    assert older is not None
    assert newer.order > older.order
    with httpx.Client(base_url=f"http://127.0.0.1:{behind.port}", trust_env=False) as client:
        fresh = client.post("/v3/discovery:routes", json={"node": {"id": "a"}})
        moved = client.post("/v3/discovery:routes", json={"node": {"id": "b"}, "version_info": newer.version})
    assert fresh.json()["version_info"] == older.version
    assert moved.status_code == 304


def test_a_control_plane_that_restarts_with_an_empty_store_removes_nothing(gateways: Gateways) -> None:
    first = gateways.replica()
    with running_relay(first.port) as relay:
        two_gateways(gateways, first, relay.port)
        with load(gateways) as seen:
            relay.to(None)
            again = gateways.replica()
            relay.to(again.port)
            with pytest.raises(Refused, match="iris"):
                again.publisher.want(gateways.compiled())
            with stepping(again):
                time.sleep(1.0)
            assert [state.programmed for state in again.publisher.gateways()] == [{"iris": 1}, {"iris": 1}]
            # The next update continues from there.
            again.settle(gateways.compiled(iris(2, 1000)))
        assert set(seen) == {200}


def test_a_store_that_also_lost_the_publication_removes_nothing(gateways: Gateways) -> None:
    first = gateways.replica()
    with running_relay(first.port) as relay:
        two_gateways(gateways, first, relay.port)
        before = {envoy.name: gateways_version(envoy.admin_port) for envoy in gateways.discovery.sites}
        gateways.shared.parts = None
        again = gateways.replica()
        relay.to(again.port)
        with pytest.raises(Refused):
            again.publisher.want(gateways.compiled())
        assert {envoy.name: gateways_version(envoy.admin_port) for envoy in gateways.discovery.sites} == before
        again.settle(gateways.compiled(iris(2, 1000)))
        until(lambda: served(again, 2))


def test_a_control_plane_that_cannot_reach_its_store_answers_503_and_removes_nothing(gateways: Gateways) -> None:
    first = gateways.replica()
    with running_relay(first.port) as relay:
        two_gateways(gateways, first, relay.port)
        with load(gateways) as seen:
            gateways.shared.reachable = False
            again = gateways.replica()
            relay.to(again.port)
            with pytest.raises(Unavailable):
                again.publisher.want(gateways.compiled(iris(2, 0)))
            with pytest.raises(Unavailable):
                again.publisher.follow()
            until(lambda: ("rds", "loading") in again.answers)
            gateways.shared.reachable = True
            again.settle(gateways.compiled(iris(3, 1000)))
        assert set(seen) == {200}


def test_a_leader_that_cannot_store_an_update_serves_it_to_no_gateway(gateways: Gateways) -> None:
    leader = gateways.replica()
    two_gateways(gateways, leader)
    gateways.shared.reachable = False
    leader.publisher.want(gateways.compiled(iris(2, 1000)))
    with pytest.raises(Unavailable):
        leader.publisher.step()
    shown = leader.cache.get("rds")
    assert shown is not None
    assert {gateways_version(site.admin_port) for site in gateways.discovery.sites} == {shown.version}
    gateways.shared.reachable = True
    until(lambda: served(leader, 2))


def test_two_leaders_never_both_publish(gateways: Gateways) -> None:
    old, new = gateways.replica(), gateways.replica()
    two_gateways(gateways, old)
    new.publisher.want(gateways.compiled(iris(5, 500)))
    new.publisher.step()
    old.publisher.want(gateways.compiled(iris(4, 400)))
    with pytest.raises(Conflict):
        old.publisher.step()
    shown = old.cache.get("rds")
    assert shown is not None
    old.publisher.follow()
    after = old.cache.get("rds")
    assert after == new.cache.get("rds")
    assert after is not None
    assert after.order > shown.order


def test_a_gateway_that_starts_while_the_control_plane_is_down_is_not_ready_until_it_has_routes(
    gateways: Gateways,
) -> None:
    leader = gateways.replica()
    with running_relay(None) as relay:
        envoy = gateways.add("edge-1", relay.port, wait=False)
        time.sleep(1.0)
        assert not envoy.ready()
        with gateways.client() as client, pytest.raises(httpx.ConnectError):
            client.get("/v2/health/ready")
        relay.to(leader.port)
        time.sleep(0.5)
        assert not envoy.ready(), "no configuration is loaded yet"
        leader.publisher.want(gateways.compiled(iris(1, 0)))
        leader.publisher.step()
        until(envoy.ready)
        with gateways.client() as client:
            until(lambda: client.get("/v2/health/ready").status_code == 200)
            assert client.post("/models/iris/predict").headers["x-route-revision"] == "iris.1"


def test_a_gateway_that_restarts_takes_what_is_published_and_does_not_delay_others(gateways: Gateways) -> None:
    leader = gateways.replica()
    two_gateways(gateways, leader)
    [_, second] = gateways.discovery.sites
    gateways.envoys["edge-2"].process.terminate()
    gateways.envoys["edge-2"].process.wait(10)

    def lost() -> bool:
        leader.publisher.step()
        return [state.reachable for state in leader.publisher.gateways()] == [True, False]

    def gets_on() -> bool:
        leader.publisher.step()
        return leader.publisher.gateways()[0].programmed == {"iris": 2}

    until(lost)
    leader.publisher.want(gateways.compiled(iris(2, 1000)))
    # Well below the time that updates wait for a lost gateway.
    until(gets_on, timeout_s=5)
    gateways.start("edge-2", leader.port, second.admin_port)
    until(lambda: served(leader, 2))
