"""Two replicas of the cluster's control plane as processes, with real gateways, while replicas stop and restart."""

from __future__ import annotations

import http.client
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from fairlead.contracts.route import RouteSpec, Step, Strategy, Target, VersionSpec, WarmUp
from fairlead.store.sqlite import SqliteStore
from integration.routing.backends import Backends, running_backends
from support.background import repeat_in_background
from support.console_page import open_page
from support.processes import wait_until
from support.replicas import ReplicatedPlatform, replicated_platform

VERSIONS = {version: VersionSpec(source=version) for version in ("1.0.0", "1.1.0")}


def spec(target: str) -> RouteSpec:
    strategy = Strategy(
        warm_up=WarmUp(smoke=False), steps=(Step(weight=1000, min_duration=1.0), Step(weight=5000, min_duration=1.0))
    )
    return RouteSpec(model="iris", versions=VERSIONS, target=Target(version=target), strategy=strategy)


@pytest.fixture
def backends() -> Iterator[Backends]:
    with running_backends() as running:
        yield running


@pytest.fixture
def platform(tmp_path: Path, backends: Backends) -> Iterator[ReplicatedPlatform]:
    """Both replicas run, "a" leads, two gateways serve iris 1.0.0."""
    with replicated_platform(tmp_path) as made:
        made.put_route(spec("1.0.0"), {version: backends.start(version).port for version in VERSIONS})
        made.make_leader("a")
        for name in ("a", "b"):
            made.start(name)
        for name, ports in made.ports.items():
            wait_until(lambda port=ports["api"]: get(made, "/readyz", port) == 200, f"{name} is ready")  # type: ignore[misc]
        made.connect_gateways_to("a")
        for name in ("edge-1", "edge-2"):
            made.add_gateway(name)
        wait_until(lambda: get(made, "/v2/health/ready") == 200, "the gateways are ready")
        yield made


def get(platform: ReplicatedPlatform, path: str, port: int | None = None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port or platform.gateway_port, timeout=5)
    with closing(connection):
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return 0


@contextmanager
def load(platform: ReplicatedPlatform) -> Iterator[Counter[object]]:
    """Uses one connection per request, so that both gateways get some."""
    seen: Counter[object] = Counter()
    limits = httpx.Limits(max_keepalive_connections=0)
    url = f"http://127.0.0.1:{platform.gateway_port}"
    with httpx.Client(base_url=url, trust_env=False, limits=limits) as client:

        def ask() -> None:
            answer = client.post("/models/iris/predict", json={})
            seen[answer.status_code if answer.status_code == 200 else answer.text] += 1

        with repeat_in_background(ask, pause_s=0.002):
            yield seen


def test_a_release_continues_when_the_leader_is_killed(platform: ReplicatedPlatform) -> None:
    with load(platform) as seen:
        platform.store.put_route("iris", spec("1.1.0"), now=now(), actor="test")
        platform.wait_revision("iris", "Canary")
        platform.children["a"].kill()
        platform.connect_gateways_to("b")
        platform.make_leader("b")
        platform.wait_revision("iris", "promoted")
        head = platform.store.head("iris")
        assert head is not None
        assert head.table.stable.version == "1.1.0"
        with httpx.Client(base_url=f"http://127.0.0.1:{platform.gateway_port}", trust_env=False) as client:
            wait_until(
                lambda: client.post("/models/iris/predict").headers["x-route-revision"] == head.id, f"{head.id} serves"
            )
    assert set(seen) == {200}
    assert seen[200] > 50
    assert platform.store.verify("iris") is None


def test_a_control_plane_that_restarts_on_an_empty_store_changes_nothing(platform: ReplicatedPlatform) -> None:
    with load(platform) as seen:
        for child in platform.children.values():
            child.stop()
        for file in platform.folder.glob("ledger.db*"):
            file.unlink()
        SqliteStore(platform.folder / "ledger.db")
        again = platform.start("a")
        wait_until(lambda: "that would remove every route" in again.tail(200), "it logs why it publishes nothing")
        wait_until(lambda: get(platform, "/readyz", platform.ports["a"]["api"]) == 200, "it still answers gateways")
        with httpx.Client(base_url=f"http://127.0.0.1:{platform.gateway_port}", trust_env=False) as client:
            assert client.post("/models/iris/predict").headers["x-route-revision"] == "iris.1"
    assert set(seen) == {200}


def test_a_replica_without_a_publication_is_not_ready(tmp_path: Path) -> None:
    with replicated_platform(tmp_path) as platform:
        platform.start("b")
        api = platform.ports["b"]["api"]
        wait_until(lambda: get(platform, "/livez", api) == 200, "it lives")
        assert get(platform, "/readyz", api) == 503


def test_sigterm_ends_a_replica_at_once_although_it_holds_requests(platform: ReplicatedPlatform) -> None:
    platform.connect_gateways_to("b")
    wait_until(lambda: "fairlead_control_leader 0.0" in metrics(platform, "b"), "it follows")
    assert platform.children["b"].stop(within=12) == 0, "not only when the 15 to 20 s of a held request are over"
    assert platform.envoys["edge-1"].ready()


def test_every_replica_shows_the_console_and_ends_at_once_although_a_page_is_open(platform: ReplicatedPlatform) -> None:
    for ports in platform.ports.values():
        url = f"http://127.0.0.1:{ports['api']}"
        with open_page(url, "iris") as page:
            wait_until(lambda page=page: page.shows("headline", "iris is serving"), "the page is sent")  # type: ignore[misc]
        assert "namespace default" in httpx.get(f"{url}/").text
        assert httpx.get(f"{url}/", headers={"host": "evil.example"}).status_code == 421
    with open_page(f"http://127.0.0.1:{platform.ports['b']['api']}", "iris") as page:
        wait_until(lambda: page.shows("headline", "iris is serving"), "the page is sent")
        assert platform.children["b"].stop(within=12) == 0
        assert page.ended.wait(5)
        assert page.is_complete, "the replica waited for the page until its time was over"


def test_the_leader_reports_metrics_and_every_replica_the_wanted_count(platform: ReplicatedPlatform) -> None:
    acknowledged = 'gateway_revision{fairlead_namespace="default",gateway="edge-2",model="iris"} 1.0'
    wait_until(lambda: acknowledged in metrics(platform, "a"), "acknowledged")
    text = metrics(platform, "a")
    text = text.replace('fairlead_namespace="default",', "")
    assert 'fairlead_control_weight{model="iris",role="stable",version="1.0.0"} 10000.0' in text
    assert 'fairlead_control_condition{condition="Ready",model="iris",reason="Serving"} 1.0' in text
    assert "fairlead_control_reconcile_seconds_count" in text
    follower = metrics(platform, "b")
    assert "fairlead_control_leader 0.0" in follower
    assert "fairlead_control_weight" not in follower
    url = f"http://127.0.0.1:{platform.ports['b']['api']}/models/iris/versions/1.0.0/wanted"
    assert httpx.get(url, trust_env=False).json()["wanted"] == 1


def metrics(platform: ReplicatedPlatform, name: str) -> str:
    return httpx.get(f"http://127.0.0.1:{platform.ports[name]['api']}/metrics", trust_env=False).text


def now() -> datetime:
    return datetime.now(UTC)
