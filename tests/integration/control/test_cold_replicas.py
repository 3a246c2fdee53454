"""Requests for a cold version, with two control planes as processes and two real gateways."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from fairlead.contracts.route import RouteSpec, ScaleToZero, Target, VersionSpec
from integration.routing.backends import running_backends
from support.processes import wait_until
from support.replicas import ReplicatedPlatform, replicated_platform

SPEC = RouteSpec(
    model="iris",
    versions={"1.0.0": VersionSpec(source="1.0.0", min_instances=0)},
    target=Target(version="1.0.0"),
    scale_to_zero=ScaleToZero(after=1.0, wait=60.0),
)
CLIENTS = 8


class Cold:
    """A platform with one version, and the test in the place of what starts and stops its instance."""

    def __init__(self, platform: ReplicatedPlatform, port: int) -> None:
        self.platform, self._port = platform, port

    def is_stopped(self) -> bool:
        rows = self.platform.store.wanted()
        return bool(rows) and all(row.stopped for row in rows)

    def sleep(self) -> None:
        """Wait until the version is cold and should have no instance, and stop it."""
        wait_until(self.is_stopped, "the version is cold")
        self.platform.store.remove_instance("iris-1.0.0")

    def start(self) -> None:
        """Wait until an instance should run, and start it."""
        wait_until(lambda: not self.is_stopped(), "the version should run")
        self.platform.put_route(SPEC, {"1.0.0": self._port})

    def asked(self) -> int:
        """How often a gateway was answered that it should ask again."""
        pages = (httpx.get(f"http://127.0.0.1:{one.admin_port}/stats?filter=hold", trust_env=False).text
                 for one in self.platform.sites)  # fmt: skip
        return sum(
            int(found) for page in pages for found in re.findall(r"cluster\.hold\.upstream_rq_retry: (\d+)", page)
        )

    @contextmanager
    def clients(self) -> Iterator[list[Future[int]]]:
        """The statuses of requests of so many clients, which both gateways get."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            yield [pool.submit(self._ask) for _ in range(CLIENTS)]

    def _ask(self) -> int:
        with httpx.Client(trust_env=False, timeout=60) as client:
            url = f"http://127.0.0.1:{self.platform.gateway_port}/models/iris/predict"
            return client.post(url, json={}).status_code


@pytest.fixture
def cold(tmp_path: Path) -> Iterator[Cold]:
    with a_cold_platform(tmp_path) as made:
        yield made


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Cold]:
    """Gateways and replicas speak TLS."""
    with a_cold_platform(tmp_path, tls=True) as made:
        yield made


@contextmanager
def a_cold_platform(folder: Path, *, tls: bool = False) -> Iterator[Cold]:
    """ "a" leads, and 1.0.0 is cold."""
    with replicated_platform(folder, tls=tls) as platform, running_backends() as backends:
        made = Cold(platform, backends.start("1.0.0").port)
        made.platform.put_route(SPEC, {"1.0.0": made._port})
        platform.make_leader("a")
        for name in ("a", "b"):
            platform.start(name)
        wait_until(lambda: platform.store.head("iris") is not None, "a leads")
        platform.connect_gateways_to("a")
        for name in ("edge-1", "edge-2"):
            platform.add_gateway(name)
        made.sleep()
        yield made


def test_requests_that_reach_a_replica_which_does_not_lead_are_held_by_the_one_that_does(cold: Cold) -> None:
    cold.platform.ask("b")
    with cold.clients() as answers:
        wait_until(lambda: cold.asked() >= CLIENTS, "the gateways were told to ask again")
        assert cold.is_stopped(), "who does not lead starts nothing"
        cold.platform.ask("a", cut=False)
        cold.start()
    assert [answer.result() for answer in answers] == [200] * CLIENTS


def test_another_replica_takes_over_while_requests_wait_and_none_is_lost(cold: Cold) -> None:
    with cold.clients() as answers:
        wait_until(lambda: not cold.is_stopped(), "they have started the version")
        cold.platform.children["a"].kill()
        cold.platform.connect_gateways_to("b")
        cold.platform.make_leader("b")
        cold.start()
    assert [answer.result() for answer in answers] == [200] * CLIENTS
    assert cold.platform.store.verify("iris") is None


def test_a_version_becomes_cold_again_while_the_other_replica_leads(cold: Cold) -> None:
    cold.platform.make_leader("b")
    cold.platform.connect_gateways_to("b")
    with cold.clients() as answers:
        cold.start()
    assert [answer.result() for answer in answers] == [200] * CLIENTS
    cold.sleep()
    head = cold.platform.store.head("iris")
    assert head is not None
    assert head.table.cold == (head.table.stable,)


def test_with_tls_requests_are_held_by_the_leader_and_by_the_one_that_takes_over(secured: Cold) -> None:
    secured.platform.ask("b")
    with secured.clients() as answers:
        wait_until(lambda: secured.asked() >= CLIENTS, "the gateways were told to ask again")
        secured.platform.ask("a", cut=False)
        wait_until(lambda: not secured.is_stopped(), "they have started the version")
        secured.platform.children["a"].kill()
        secured.platform.connect_gateways_to("b")
        secured.platform.make_leader("b")
        secured.start()
    assert [answer.result() for answer in answers] == [200] * CLIENTS


def test_with_tls_nobody_wakes_a_version_through_the_port_without_and_tables_have_no_other_port(secured: Cold) -> None:
    ports = secured.platform.ports["a"]
    with httpx.Client(trust_env=False) as client:
        held = client.post(f"http://127.0.0.1:{ports['api']}/hold/models/iris/predict")
        with pytest.raises(httpx.ConnectError):
            client.post(f"http://127.0.0.1:{ports['xds']}/v3/discovery:routes", json={"node": {"id": "edge-1"}})
        listed = client.get(f"http://127.0.0.1:{secured.platform.gateway_port}/models")
    assert held.status_code == 503
    assert secured.is_stopped()
    assert "iris" in listed.text


def test_a_platform_changes_over_to_tls_and_no_request_that_waits_is_lost(tmp_path: Path) -> None:
    with replicated_platform(tmp_path, tls=True) as platform, running_backends() as backends:
        platform.also_plain = True
        cold = Cold(platform, backends.start("1.0.0").port)
        platform.put_route(SPEC, {"1.0.0": cold._port})
        platform.make_leader("a")
        platform.start("a")
        wait_until(lambda: platform.store.head("iris") is not None, "a leads")
        platform.connect_gateways_to("a")
        platform.add_gateway("before", plain_at="a")
        platform.add_gateway("after")
        answers = [woken(cold)]
        platform.remove_gateway("before")
        platform.also_plain = False
        platform.start("b")
        platform.make_leader("b")
        platform.connect_gateways_to("b")
        platform.children["a"].kill()
        answers.append(woken(cold))
        page = httpx.get(f"http://127.0.0.1:{platform.sites[0].admin_port}/stats?filter=hold.ssl", trust_env=False).text
    assert int(re.findall(r"cluster\.hold\.ssl\.handshake: (\d+)", page)[0]) > 0
    assert answers == [[200] * CLIENTS] * 2


def woken(cold: Cold) -> list[int]:
    """The statuses of requests that wait for the version, once it is cold."""
    cold.sleep()
    with cold.clients() as answers:
        cold.start()
    return [answer.result() for answer in answers]
