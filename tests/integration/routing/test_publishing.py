"""The file publisher with a real Envoy: order, speed, rejection, restarts."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from integration.routing.backends import Backends
from integration.routing.edge import V1, V2, Edge, an_edge, bad, iris, serving, until
from support.envoy import running_envoy


@pytest.fixture
def edge(tmp_path: Path, backends: Backends) -> Iterator[Edge]:
    with an_edge(tmp_path) as made:
        for ref in (V1, V2):
            made.endpoints["default", "iris", ref] = [backends.start(ref.version).endpoint]
        yield made


def test_a_weight_change_is_acknowledged_within_a_fraction_of_a_second(edge: Edge) -> None:
    with serving(edge, iris(1, 0)):
        times = [edge.programmed(iris(seq, seq * 100)) for seq in range(2, 22)]
    assert median(times) < 0.1, f"milliseconds: {[round(one * 1000, 1) for one in times]}"


def test_changing_versions_under_load_fails_no_request(edge: Edge) -> None:
    failures: list[object] = []
    count = 0
    stop = threading.Event()

    def ask() -> None:
        nonlocal count
        with edge.client() as client:
            while not stop.is_set():
                answer = client.post("/models/iris/predict", json={})
                count += 1
                if answer.status_code != 200:
                    failures.append((answer.status_code, answer.text))

    with serving(edge, iris(1, 0)):
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for round_ in range(5):
                seq = 10 * round_
                edge.serve(iris(seq + 2, 5000))
                edge.serve(iris(seq + 3, 10_000))
                edge.serve(iris(seq + 4, 0, stable=V2, candidate=None))
                edge.serve(iris(seq + 5, 0, stable=V1, candidate=None, pins=(V1,)))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert failures == []
    assert count > 100


def test_after_a_rejection_the_old_configuration_keeps_serving_and_the_reason_is_reported(edge: Edge) -> None:
    with serving(edge, iris(1, 0)), edge.client() as client:
        edge.publisher.want(bad(edge.compiled(iris(1, 0)), 2))
        until(lambda: edge.publisher.step().rejected)
        for _ in range(50):
            edge.publisher.step()
        [gateway] = edge.publisher.gateways()
        assert gateway.reachable
        assert gateway.programmed == {"iris": 1}
        assert "duration" in (gateway.rejected or "").lower()
        assert client.post("/models/iris/predict").headers["x-route-revision"] == "iris.1"
        assert (edge.folder / "envoy.log").read_text().count("update rejected") == 1

        edge.serve(iris(3, 0))
        assert edge.publisher.gateways()[0].rejected is None
        assert client.post("/models/iris/predict").headers["x-route-revision"] == "iris.3"


def test_a_gateway_that_restarts_after_a_rejection_serves_the_same_as_before(edge: Edge) -> None:
    with serving(edge, iris(1, 0)):
        edge.publisher.want(bad(edge.compiled(iris(1, 0)), 2))
        until(lambda: edge.publisher.step().rejected)
        edge.publisher.step()
    with running_envoy(edge.bootstrap, edge.folder), edge.client() as client:
        assert client.post("/models/iris/predict").headers["x-route-revision"] == "iris.1"


def test_a_control_plane_that_restarts_after_a_rejection_does_not_send_it_again(edge: Edge) -> None:
    with serving(edge, iris(1, 0)):
        refused = bad(edge.compiled(iris(1, 0)), 2)
        edge.publisher.want(refused)
        until(lambda: edge.publisher.step().rejected)
        again = edge.new_publisher()
        again.want(refused)
        for _ in range(50):
            again.step()
        assert again.gateways()[0].rejected
        assert again.gateways()[0].programmed == {"iris": 1}
        assert (edge.folder / "envoy.log").read_text().count("update rejected") == 1


def test_a_restarted_envoy_serves_the_same_files(edge: Edge) -> None:
    with serving(edge, iris(7, 0)):
        pass
    assert not edge.publisher.step().settled or until(lambda: not edge.publisher.step().settled)
    assert not edge.publisher.gateways()[0].reachable
    with running_envoy(edge.bootstrap, edge.folder), edge.client() as client:
        assert client.post("/models/iris/predict").headers["x-route-revision"] == "iris.7"
        until(lambda: edge.publisher.step().settled)
        assert edge.publisher.gateways()[0].programmed == {"iris": 7}


def test_a_restarted_publisher_continues_the_sequence(edge: Edge) -> None:
    with serving(edge, iris(1, 0)):
        edge.serve(iris(2, 100))
        before = json.loads((edge.folder / "rds.json").read_text())["version_info"]
        edge.publisher = edge.new_publisher()
        edge.serve(iris(3, 200))
        after = json.loads((edge.folder / "rds.json").read_text())["version_info"]
    assert int(after.split(".")[0]) > int(before.split(".")[0])


def test_a_missing_gateway_is_reported_as_unreachable_without_an_error(edge: Edge) -> None:
    edge.publisher.want(edge.compiled(iris(1, 0)))
    progress = edge.publisher.step()
    assert not progress.settled
    assert not edge.publisher.gateways()[0].reachable
    assert (edge.folder / "rds.json").exists()
