"""Keys and limits, through a real Envoy, while the clients or the number of gateways change."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from fairlead.contracts.access import Access, key_hash
from fairlead.contracts.table import Table
from fairlead.routing.snapshot import Guard, Routed
from integration.routing.access_scene import key, stats
from integration.routing.backends import Backends
from integration.routing.edge import V1, V2, an_edge, iris, serving

CANARY = iris(3, 5000)


def test_a_key_is_replaced_under_load_without_a_failed_request(tmp_path: Path, backends: Backends) -> None:
    """The client has both keys while it changes over; a key that was taken away ends at once, on open connections."""

    def clients(*keys: str) -> Guard:
        return Guard(Access.model_validate({"clients": {"shop": {"keys": [key_hash(one) for one in keys]}}}))

    with an_edge(tmp_path, guard=clients("old")) as edge:
        edge.endpoints["default", "iris", V1] = [backends.start(V1.version).endpoint]
        edge.endpoints["default", "iris", V2] = [backends.start(V2.version).endpoint]
        with serving(edge, CANARY):
            statuses: Counter[int] = Counter()
            current, stop = ["old"], threading.Event()

            def send() -> None:
                with edge.client() as client:
                    while not stop.wait(0.005):
                        statuses[client.post("/models/iris/predict", headers=key(current[0])).status_code] += 1

            senders = [threading.Thread(target=send) for _ in range(3)]
            for one in senders:
                one.start()
            with edge.client() as client:
                assert client.post("/models/iris/predict", headers=key("old")).status_code == 200
                for number in range(5):
                    new = f"key-{number}"
                    edge.settings = replace(edge.settings, guard=clients(current[0], new))
                    edge.serve(CANARY)
                    current[0] = new
                    time.sleep(0.1)  # requests with the key before are on their way
                    edge.settings = replace(edge.settings, guard=clients(new))
                    edge.serve(CANARY)
                assert client.post("/models/iris/predict", headers=key("old")).status_code == 401
            stop.set()
            for one in senders:
                one.join()
            assert set(statuses) == {200}
            assert statuses[200] > 100
            assert stats(edge, "listener_modified") == {"listener_manager.listener_modified": 0}


def test_a_limit_holds_over_two_gateways(tmp_path: Path, backends: Backends) -> None:
    """Each gateway has the client's whole bucket, and a request costs as many tokens as there are gateways."""
    access = Access.model_validate({"clients": {"shop": {"keys": [key_hash("k")], "limit": {"rate": 20, "burst": 20}}}})
    service = backends.start(V1.version).endpoint
    table = Routed("iris", 1, Table.model_validate({"model": "iris", "stable": V1, "pins": (V1,)}))
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    with (
        an_edge(folders[0], guard=Guard(access, gateways=2)) as one,
        an_edge(folders[1], guard=Guard(access, gateways=2)) as two,
    ):
        for edge in (one, two):
            edge.endpoints["default", "iris", V1] = [service]
        with serving(one, table), serving(two, table), one.client() as first, two.client() as second:
            began, passed, seconds = time.monotonic(), [0, 0], 4.0
            while (now := time.monotonic() - began) < seconds:
                for place, client in enumerate((first, second)):
                    passed[place] += client.post("/models/iris/predict", headers=key("k")).status_code == 200
                time.sleep(0.004)
            most = 20 + 20 * now
            assert 0.9 * most <= sum(passed) <= most + 2
            assert abs(passed[0] - passed[1]) <= 4


def test_more_gateways_take_effect_without_filling_the_buckets(tmp_path: Path, backends: Backends) -> None:
    access = Access.model_validate({"clients": {"shop": {"keys": [key_hash("k")], "limit": {"rate": 0.1, "burst": 8}}}})
    table = Routed("iris", 1, Table.model_validate({"model": "iris", "stable": V1, "pins": (V1,)}))
    with an_edge(tmp_path, guard=Guard(access)) as edge:
        edge.endpoints["default", "iris", V1] = [backends.start(V1.version).endpoint]
        with serving(edge, table), edge.client() as client:

            def passed(times: int) -> int:
                return sum(
                    client.post("/models/iris/predict", headers=key("k")).status_code == 200 for _ in range(times)
                )

            assert passed(4) == 4
            edge.settings = replace(edge.settings, guard=Guard(access, gateways=2))
            edge.serve(table)
            assert passed(6) == 2  # four tokens are left, and each request costs two


def test_hashes_of_keys_of_every_length_are_those_of_python(tmp_path: Path, backends: Backends) -> None:
    """The gateway computes SHA-256 itself: the padding differs with the length, modulo 64."""
    draw = random.Random(7)
    alphabet = [chr(code) for code in range(0x21, 0x7F)]
    keys = ["".join(draw.choice(alphabet) for _ in range(length)) for length in [*range(1, 140), 511, 512]]
    access = Access.model_validate({"clients": {f"c{n}": {"keys": [key_hash(one)]} for n, one in enumerate(keys)}})
    with an_edge(tmp_path, guard=Guard(access)) as edge:
        edge.endpoints["default", "iris", V1] = [backends.start(V1.version).endpoint]
        table = Routed("iris", 1, Table.model_validate({"model": "iris", "stable": V1, "pins": (V1,)}))
        with serving(edge, table), edge.client() as client:
            statuses = [client.post("/models/iris/predict", headers=key(one)).status_code for one in keys]
    assert statuses == [200] * len(keys)
