"""REST xDS against real Envoys: several gateways, several replicas, refusals, starts and restarts."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

import httpx
import pytest

from fairlead.contracts.table import Table
from fairlead.errors import Refused, Unavailable
from fairlead.routing.publish.content import order_of
from fairlead.routing.snapshot import Routed, Snapshot
from integration.routing.backends import Backends, running_backends
from integration.routing.edge import V1, V2, until
from integration.routing.replicas import Gateways, Replica, some_gateways, version
from support.relay import running_relay


def iris(seq: int, weight: int, **more: object) -> Routed:
    fields = {"candidate": V2, "pins": (V1, V2), "weight": weight, **more}
    return Routed("iris", seq, Table.model_validate({"model": "iris", "stable": V1, **fields}))


@pytest.fixture
def backends() -> Iterator[Backends]:
    with running_backends() as running:
        yield running


@pytest.fixture
def gateways(tmp_path: Path, backends: Backends) -> Iterator[Gateways]:
    with some_gateways(tmp_path) as made:
        for ref in (V1, V2):
            made.endpoints["default", "iris", ref] = [backends.start(ref.version).endpoint]
        yield made


def bad(snapshot: Snapshot, seq: int) -> Snapshot:
    """Passes every check of ours, and not Envoy's."""
    [(name, routes)] = snapshot.routes.items()
    text = json.dumps(routes).replace('"iris": 1', f'"iris": {seq}').replace('"timeout": "10s"', '"timeout": "-1s"')
    return replace(snapshot, routes={name: json.loads(text)}, revisions={"iris": seq})


def served(replica: Replica, seq: int) -> bool:
    replica.publisher.step()
    states = replica.publisher.gateways()
    return all(one.reachable and one.programmed == {"iris": seq} for one in states)


@contextmanager
def stepping(replica: Replica) -> Iterator[None]:
    """The leader's loop, turning."""
    stop = threading.Event()

    def turn() -> None:
        while not stop.wait(0.02):
            replica.publisher.step()

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def load(gateways: Gateways, threads: int = 3) -> Iterator[Counter[object]]:
    """Asks without a pause; counts answers by status, and everything that is not 200 with its text."""
    seen: Counter[object] = Counter()
    stop, lock = threading.Event(), threading.Lock()

    def ask() -> None:
        mine: Counter[object] = Counter()
        with gateways.client() as client:
            while not stop.is_set():
                try:
                    answer = client.post("/models/iris/predict", json={})
                    mine[200 if answer.status_code == 200 else (answer.status_code, answer.text)] += 1
                except httpx.HTTPError as error:
                    mine[repr(error)] += 1
        with lock:
            seen.update(mine)

    running = [threading.Thread(target=ask) for _ in range(threads)]
    for thread in running:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in running:
            thread.join()


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
