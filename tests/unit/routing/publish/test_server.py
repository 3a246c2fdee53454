from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from fairlead.routing.publish import server
from fairlead.routing.publish.polling_gateways import BURST, MAX_DELIVERIES, RATE_PER_S, RETRY_AFTER_S, Node, Nodes
from fairlead.routing.publish.publication import EncodedUpdate
from fairlead.routing.publish.resource_sets import ResourceSet, Update, UpdateOrder, make_version
from fairlead.routing.publish.server import MAX_REQUEST_BYTES, build_xds
from fairlead.routing.publish.snapshot_cache import SnapshotCache

HOLD_S = 0.2


def routes(sequence: int, phase: str = "b") -> EncodedUpdate:
    content = ResourceSet.of({"models": {"name": "models", "n": sequence}})
    return EncodedUpdate.of(Update(make_version(UpdateOrder(sequence, phase), content), content))


class Replica:
    def __init__(self, hold_s: float = HOLD_S, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.cache = SnapshotCache()
        self.answers: list[tuple[str, str]] = []
        self.app = build_xds(
            self.cache,
            hold_s=hold_s,
            on_answer=lambda kind, answer: self.answers.append((kind, answer)),
            monotonic=monotonic,
        )

    def client(self, address: str) -> httpx.AsyncClient:
        """A client at this address."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app, client=(address, 1)), base_url="http://xds")

    def run(self, talk: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
        async def exchange() -> Any:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://xds") as client:
                return await talk(client)

        return asyncio.run(exchange())

    def ask(self, version: str = "", node: str = "edge-1", **more: Any) -> httpx.Response:
        response = self.run(lambda client: ask(client, version, node, **more))
        assert isinstance(response, httpx.Response)
        return response


async def ask(client: httpx.AsyncClient, version: str = "", node: str = "edge-1", **more: Any) -> httpx.Response:
    body = {"node": {"id": node}, **({"version_info": version} if version else {}), **more}
    return await client.post("/v3/discovery:routes", json=body)


@pytest.fixture
def replica() -> Replica:
    return Replica()


def test_before_anything_is_loaded_the_response_is_503(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LOADING_HOLD_S", 0.05)
    assert replica.ask().status_code == 503
    assert replica.answers == [("rds", "loading")]


def test_a_gateway_without_a_version_gets_the_published_one(replica: Replica) -> None:
    replica.cache.put({"rds": routes(3)})
    answer = replica.ask().json()
    assert answer["version_info"] == routes(3).version
    assert answer["type_url"].endswith("RouteConfiguration")
    assert answer["resources"] == [{"name": "models", "n": 3}]


def test_a_gateway_with_the_newest_version_is_held_and_gets_304(replica: Replica) -> None:
    replica.cache.put({"rds": routes(3)})
    began = time.monotonic()
    assert replica.ask(routes(3).version).status_code == 304
    assert time.monotonic() - began >= HOLD_S * 0.7


def test_a_held_request_is_answered_at_once_when_a_new_version_is_published() -> None:
    replica = Replica(hold_s=60)
    replica.cache.put({"rds": routes(3)})

    async def talk(client: httpx.AsyncClient) -> tuple[httpx.Response, float]:
        held = asyncio.create_task(ask(client, routes(3).version))
        await asyncio.sleep(0.05)
        began = time.monotonic()
        await asyncio.to_thread(replica.cache.put, {"rds": routes(4)})
        return await held, time.monotonic() - began

    answer, took = replica.run(talk)
    assert answer.json()["version_info"] == routes(4).version
    assert took < 5, "not only when the hold time is over"


@pytest.mark.parametrize("has", [routes(4), routes(3, "c")])
def test_a_gateway_with_a_newer_version_never_gets_an_older_one(replica: Replica, has: EncodedUpdate) -> None:
    replica.cache.put({"rds": routes(3)})
    assert replica.ask(has.version).status_code == 304


def test_the_cache_never_goes_back(replica: Replica) -> None:
    replica.cache.put({"rds": routes(4)})
    replica.cache.put({"rds": routes(3)})
    assert replica.cache.get("rds") == routes(4)


def test_a_version_that_was_sent_and_not_taken_is_not_sent_again_at_once(replica: Replica) -> None:
    replica.cache.put({"rds": routes(3)})
    assert replica.ask(routes(2).version).status_code == 200
    assert replica.ask(routes(2).version).status_code == 304
    replica.cache.put({"rds": routes(4)})
    assert replica.ask(routes(2).version).status_code == 200


def test_a_gateway_that_restarts_gets_the_same_again(replica: Replica) -> None:
    replica.cache.put({"rds": routes(3)})
    assert [replica.ask().status_code for _ in range(2)] == [200, 200]


def test_a_request_on_a_new_connection_ends_the_one_before() -> None:
    replica = Replica(hold_s=60)
    replica.cache.put({"rds": routes(3)})

    async def talk(client: httpx.AsyncClient) -> float:
        began = time.monotonic()
        first = asyncio.create_task(ask(client, routes(3).version))
        await asyncio.sleep(0.02)
        second = asyncio.create_task(ask(client, routes(3).version))
        await asyncio.sleep(0)
        replica.cache._wake()  # noqa: SLF001
        assert (await first).status_code == 304
        took = time.monotonic() - began
        replica.cache.close()
        await second
        return took

    assert replica.run(talk) < 5


def test_a_replica_that_stops_releases_all_held_requests(replica: Replica) -> None:
    replica.cache.put({"rds": routes(3)})

    async def talk(client: httpx.AsyncClient) -> httpx.Response:
        held = asyncio.create_task(ask(client, routes(3).version))
        await asyncio.sleep(0.02)
        replica.cache.close()
        return await held

    answer = replica.run(talk)
    assert answer.status_code == 304
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b'{"node": {}}', 400),
        (b'{"node": {"id": ""}}', 400),
        (b'{"node": {"id": 7}}', 400),
        (b'{"node": {"id": "a"}, "version_info": 7}', 400),
        (b'{"node": {"id": "' + b"a" * 254 + b'"}}', 400),
        (b'{"node": {"id": "a"}}' + b" " * MAX_REQUEST_BYTES, 413),
    ],
)
def test_a_malformed_request_is_refused_with_a_reason(replica: Replica, body: bytes, status: int) -> None:
    replica.cache.put({"rds": routes(3)})
    answer = replica.run(lambda client: client.post("/v3/discovery:routes", content=body))
    assert answer.status_code == status
    assert answer.json()["detail"]


@pytest.mark.parametrize("path", ["/v3/discovery:endpoints", "/", "/v3/discovery:routes/x"])
def test_other_paths_are_not_found(replica: Replica, path: str) -> None:
    assert replica.run(lambda client: client.post(path, json={})).status_code == 404


def test_a_gateway_above_the_rate_limit_gets_429(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "THROTTLE_HOLD_S", 0.01)
    # A fixed clock: however slow the machine, no token is refilled meanwhile.
    replica = Replica(monotonic=lambda: 0.0)
    replica.cache.put({"rds": routes(3)})

    async def talk(client: httpx.AsyncClient) -> list[int]:
        answers = [
            await client.post("/v3/discovery:routes", json={"node": {"id": "a"}}) for _ in range(int(BURST) + 20)
        ]
        return [answer.status_code for answer in answers if answer.status_code != 304]

    # A version is sent only three times, and further requests would be held. So sending is always allowed here.
    monkeypatch.setattr(Node, "may_send", lambda *_, **__: True)
    statuses = replica.run(talk)
    assert 429 in statuses
    assert statuses[0] == 200


def test_another_client_that_uses_a_gateways_name_does_not_end_its_request_nor_use_up_its_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before, one request under the gateway's name ended its held one, and 120 kept it from the next table."""
    monkeypatch.setattr(server, "THROTTLE_HOLD_S", 0.01)
    replica = Replica(hold_s=60, monotonic=lambda: 0.0)
    replica.cache.put({"rds": routes(3)})

    async def talk(gateway: httpx.AsyncClient) -> httpx.Response:
        held = asyncio.create_task(ask(gateway, routes(3).version))
        await asyncio.sleep(0.02)
        async with replica.client("10.6.6.6") as impostor:
            asked = [asyncio.create_task(ask(impostor)) for _ in range(int(BURST) + 1)]
            async with asyncio.timeout(5):
                while ("rds", "crowded") not in replica.answers:  # the impostor's own rate is used up
                    await asyncio.sleep(0.01)
            replica.cache.put({"rds": routes(4)})
            answer = await held
            replica.cache.close()
            await asyncio.gather(*asked)
        return answer

    assert replica.run(talk).json()["version_info"] == routes(4).version


def test_one_address_cannot_take_all_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_HELD_OF_ONE", 2)
    replica = Replica(hold_s=60)
    replica.cache.put({"rds": routes(3)})

    async def talk(gateway: httpx.AsyncClient) -> httpx.Response:
        async with replica.client("10.6.6.6") as impostor:
            held = [asyncio.create_task(ask(impostor, routes(3).version, f"n{number}")) for number in range(2)]
            await asyncio.sleep(0.02)
            refused = await ask(impostor, routes(3).version, "n2")
            assert (refused.status_code, "of 10.6.6.6" in refused.text) == (503, True)
            answer = await ask(gateway)
            replica.cache.close()
            await asyncio.gather(*held)
            assert (await ask(impostor, routes(3).version, "n3")).status_code == 304, "its places are free again"
            return answer

    assert replica.run(talk).status_code == 200


def test_tokens_are_refilled_with_time() -> None:
    node = Node()
    assert all(node.may_ask(0.0) for _ in range(int(BURST)))
    assert not node.may_ask(0.0)
    assert node.may_ask(1.5 / RATE_PER_S)


def test_a_version_that_is_not_taken_is_sent_a_few_times_with_growing_pauses() -> None:
    node, now = Node(), 0.0
    sent = []
    for _ in range(1000):
        now += 1.0
        if node.may_send("rds", "1.b-x", now, empty=False):
            node.record_sent("rds", "1.b-x", now)
            sent.append(now)
    assert len(sent) == MAX_DELIVERIES
    assert sent[1] - sent[0] >= RETRY_AFTER_S
    assert sent[2] - sent[1] >= 2 * RETRY_AFTER_S


def test_a_gateway_that_reports_no_version_is_sent_it_without_limit_but_less_and_less_often() -> None:
    node, now, sent = Node(), 0.0, 0
    for _ in range(600):
        now += 1.0
        if node.may_send("cds", "1.a-x", now, empty=True):
            node.record_sent("cds", "1.a-x", now)
            sent += 1
    assert MAX_DELIVERIES < sent < 30


def test_the_number_of_known_gateways_is_limited() -> None:
    nodes = Nodes()
    first = nodes.get("10.0.0.1", "first")
    for number in range(2000):
        nodes.get("10.0.0.1", f"edge-{number}")
    assert nodes.get("10.0.0.1", "first") is not first
