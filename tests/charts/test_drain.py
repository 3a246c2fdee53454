"""The script that drains a gateway, run as in a pod, against a real Envoy."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from integration.routing.backends import Backend, running_backends
from integration.routing.edge import V1, an_edge, iris, serving
from integration.routing.replicas import Gateways, some_gateways
from support.helm import CHARTS
from support.processes import free_ports

DRAIN = CHARTS / "platform/files/drain.sh"


@pytest.fixture
def slow_answer(tmp_path: Path) -> Iterator[tuple[Gateways, Backend]]:
    """A gateway as in a cluster, "edge-1", and the one backend of its model."""
    with some_gateways(tmp_path) as gateways, running_backends() as backends:
        backend = backends.start("1.0.0")
        gateways.endpoints["default", "iris", V1] = [backend.endpoint]
        replica = gateways.replica()
        replica.publisher.want(gateways.compiled(iris(1, 0, candidate=None, pins=(V1,))))
        replica.publisher.step()
        gateways.add("edge-1", replica.port)
        yield gateways, backend


def drain(gateways: Gateways, propagation: int, requests: int) -> subprocess.Popen[bytes]:
    [site] = gateways.discovery.sites
    ports = {"ADMIN_PORT": str(site.admin_port), "DRAIN_PORT": str(gateways.drain_ports["edge-1"])}
    return subprocess.Popen(["bash", DRAIN, str(propagation), str(requests)], env={**os.environ, **ports})


def test_a_draining_gateway_finishes_requests_in_flight_and_closes_connections(
    slow_answer: tuple[Gateways, Backend],
) -> None:
    gateways, backend = slow_answer
    url = f"http://127.0.0.1:{gateways.settings.port}"
    with ThreadPoolExecutor() as pool, httpx.Client(base_url=url, trust_env=False) as client:
        assert "connection" not in client.get("/models/iris/docs").headers
        backend.delay_s = 2.0
        slow = pool.submit(httpx.get, f"{url}/models/iris/docs", timeout=60, trust_env=False)
        time.sleep(0.3)
        begin = time.monotonic()
        draining = drain(gateways, 1, 60)
        time.sleep(0.5)
        during = client.get("/v2/health/ready")
        assert draining.wait() == 0
        assert 1.0 < time.monotonic() - begin < 30.0, "it ends when nothing is in flight, before the 60 s are over"
        assert slow.result().status_code == 200
        assert slow.result().headers["connection"] == "close"
        assert during.status_code == 503


def test_a_drain_ends_after_its_limit_while_a_request_is_in_flight(slow_answer: tuple[Gateways, Backend]) -> None:
    gateways, backend = slow_answer
    url = f"http://127.0.0.1:{gateways.settings.port}/models/iris/docs"
    with ThreadPoolExecutor() as pool:
        backend.delay_s = 8.0  # below the 10 s that a request may take
        slow = pool.submit(httpx.get, url, timeout=60, trust_env=False)
        time.sleep(0.3)
        begin = time.monotonic()
        assert drain(gateways, 0, 2).wait() == 0
        assert time.monotonic() - begin > 0.9
        assert not slow.done()
        assert slow.result().status_code == 200


def test_a_gateway_that_started_before_the_upgrade_drains_too(tmp_path: Path) -> None:
    """Kubernetes replaces the script in pods that run: there the admin page is still a port."""
    [closed] = free_ports(1)
    with an_edge(tmp_path) as edge, serving(edge), edge.client() as client:
        assert client.get("/v2/health/ready").status_code == 200
        ports = {"ADMIN_PORT": str(edge.admin_port), "DRAIN_PORT": str(closed)}
        subprocess.run(["bash", DRAIN, "0", "1"], env={**os.environ, **ports}, check=True, stderr=subprocess.DEVNULL)
        assert client.get("/v2/health/ready").status_code == 503
