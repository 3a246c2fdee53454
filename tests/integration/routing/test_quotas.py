"""A quota of a client over two real gateways, with restarts of a gateway and of what counts."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fairlead.contracts.access import Access, key_hash
from fairlead.contracts.gateway import GatewaySite
from fairlead.control.client_counts import ClientCounts
from fairlead.control.kept_quotas import QuotaFile
from fairlead.control.quotas import READ_EVERY_S, Quotas
from fairlead.routing.snapshot import Guard
from integration.routing.access_scene import key, stats
from integration.routing.backends import Backends
from integration.routing.edge import V1, Edge, an_edge, iris, serving, until

QUOTA = 300
PER_SECOND = 100
"""The rate of requests, by the clock that the quotas go by."""
CLIENTS = {
    "shop": {"keys": [key_hash("shop")], "quota": {"month": QUOTA}},
    "free": {"keys": [key_hash("free")]},
}
ACCESS = Access.model_validate({"clients": CLIENTS})
ROUTED = iris(1, 0, candidate=None, pins=(V1,))
PATH = "/models/iris/predict"


class Scene:
    """Two gateways, and what a control plane does for their quotas, by a clock that moves with each request."""

    def __init__(self, folder: Path, edges: list[Edge]) -> None:
        self.edges, self.envoys = edges, [ExitStack() for _ in edges]
        self._keep = QuotaFile(folder / "quotas.json")
        self._now = 100.0
        self._sent = 0
        self.published: dict[str, int] = {}
        self.restart_control_plane()

    def restart_control_plane(self) -> None:
        sites = [GatewaySite(name, "127.0.0.1", edge.admin_port) for name, edge in zip("ab", self.edges, strict=True)]
        self.quotas = Quotas(
            ClientCounts(lambda: sites, timeout_s=30),  # a busy machine is no gateway that does not answer
            self._keep,
            lambda: ACCESS,
            log=logging.getLogger("test"),
            monotonic=lambda: self._now,
        )

    def start(self, number: int) -> None:
        self.envoys[number].enter_context(serving(self.edges[number], ROUTED))

    def restart_gateway(self, number: int) -> None:
        self.envoys[number].close()
        self.start(number)

    def turn(self) -> None:
        """What the loop of a control plane does after a tick."""
        self.quotas.turn()
        if self.quotas.closed() != self.published:
            self.published = dict(self.quotas.closed())
            for edge in self.edges:
                close(edge, self.published)

    def send(self, number: int, *, counts: bool = True, client: str = "shop") -> list[int]:
        """Requests to both gateways in turn; returns the statuses."""
        found = []
        with self.edges[0].client(headers=key(client)) as first, self.edges[1].client(headers=key(client)) as second:
            for _ in range(number):
                found.append((first, second)[self._sent % 2].post(PATH, content=b"{}").status_code)
                self._sent += 1
                self._now += 1 / PER_SECOND
                if counts:
                    self.turn()
        return found

    def read(self) -> None:
        """A reading of all that was sent."""
        self._now += READ_EVERY_S
        self.turn()


def close(edge: Edge, ends: dict[str, int]) -> None:
    """Have a gateway refuse these clients."""
    assert edge.settings.guard is not None
    edge.settings = replace(edge.settings, guard=replace(edge.settings.guard, closed=ends))
    edge.serve(ROUTED)


@pytest.fixture
def scene(tmp_path: Path, backends: Backends) -> Iterator[Scene]:
    with ExitStack() as stack:
        edges = []
        for name in "ab":
            (tmp_path / name).mkdir()
            edge = stack.enter_context(an_edge(tmp_path / name, guard=Guard(ACCESS, key_hash("own"), gateways=2)))
            edge.endpoints["default", "iris", V1] = [backends.start("1.0.0").endpoint]
            edges.append(edge)
        made = Scene(tmp_path, edges)
        for number, envoy in enumerate(made.envoys):
            stack.push(envoy)
            made.start(number)
        yield made
        made.quotas.close()


def test_a_quota_holds_over_two_gateways_and_over_restarts_of_a_gateway_and_of_the_control_plane(scene: Scene) -> None:
    scene.turn()
    passed = scene.send(100)
    scene.quotas.close()
    passed += scene.send(40, counts=False)  # no control plane runs
    scene.restart_control_plane()
    passed += scene.send(40)
    until(lambda: uptime(scene.edges[1]) > 4)  # longer than from its restart to the next reading
    scene.read()
    scene.restart_gateway(1)  # its counters begin at zero
    passed += scene.send(PER_SECOND // 2)
    scene.read()
    passed += scene.send(QUOTA + PER_SECOND * int(READ_EVERY_S))
    allowed = passed.count(200)
    assert set(passed) == {200, 429}
    # It is exceeded by what is sent between two readings, and by no more.
    assert QUOTA <= allowed <= QUOTA + PER_SECOND * READ_EVERY_S
    scene.quotas.close()
    scene.restart_control_plane()
    assert set(scene.send(20)) == {429}
    assert set(scene.send(4, client="free")) == {200}


def uptime(edge: Edge) -> int:
    """How long a gateway runs, in whole seconds, as it says itself."""
    return next(iter(stats(edge, "^server.uptime$").values()))


def test_a_client_is_told_when_its_quota_begins_anew(scene: Scene) -> None:
    soon = int((datetime.now(UTC) + timedelta(seconds=3)).timestamp())
    edge = scene.edges[0]
    close(edge, {"shop": soon + 60})
    with edge.client(headers=key("shop")) as client:
        refused = client.post(PATH, content=b"{}")
        close(edge, {"shop": soon})
        # It opens by itself, without another configuration.
        until(lambda: client.post(PATH, content=b"{}").status_code == 200, timeout_s=30, every_s=0.2)
    assert (refused.status_code, refused.json()["code"], refused.json()["title"]) == (
        429,
        "over-quota",
        "Too Many Requests",
    )
    assert 0 < int(refused.headers["retry-after"]) <= 63
    assert "client shop has used its quota up; it begins anew at 20" in refused.json()["detail"]
