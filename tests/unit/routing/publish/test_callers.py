"""What a replica answers to requests that must prove whose they are."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from fairlead.errors import Refused, Unavailable
from fairlead.routing.envoy.sources import TOKEN_HEADER
from fairlead.routing.publish import callers, server
from fairlead.routing.publish.publication import EncodedUpdate
from fairlead.routing.publish.resource_sets import ResourceSet, Update, UpdateOrder, make_version
from fairlead.routing.publish.server import MAX_REQUEST_BYTES, build_xds
from fairlead.routing.publish.snapshot_cache import SnapshotCache


def routes(sequence: int) -> EncodedUpdate:
    content = ResourceSet.of({"models": {"name": "models", "n": sequence}})
    return EncodedUpdate.of(Update(make_version(UpdateOrder(sequence, "b"), content), content))


class Tokens:
    """The token of the gateway X is `token-of-X`; `lost` cannot be checked, all others are refused."""

    def __init__(self) -> None:
        self.lately: set[str] = set()
        self.checks = 0

    def known(self, token: str) -> str | None:
        return token.removeprefix("token-of-") if token in self.lately else None

    async def check(self, token: str) -> str:
        self.checks += 1
        if token == "lost":  # noqa: S105
            raise Unavailable("no answer", hint="look at the API server")
        if not token.startswith("token-of-"):
            raise Refused("the token has expired" if token else "the request has no token")
        self.lately.add(token)
        return token.removeprefix("token-of-")


class Replica:
    def __init__(self) -> None:
        self.cache, self.tokens, self.now = SnapshotCache(), Tokens(), 0.0
        self.cache.put({"rds": routes(3)})
        self.answers: list[tuple[str, str]] = []
        self.app = build_xds(
            self.cache,
            tokens=self.tokens,
            hold_s=60,
            on_answer=lambda kind, answer: self.answers.append((kind, answer)),
            monotonic=lambda: self.now,
        )

    def client(self, address: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app, client=(address, 1)), base_url="http://xds")

    def run(self, talk: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
        async def exchange() -> Any:
            async with self.client("10.0.0.1") as client:
                return await talk(client)

        return asyncio.run(exchange())


@pytest.fixture
def replica(monkeypatch: pytest.MonkeyPatch) -> Replica:
    monkeypatch.setattr(server, "THROTTLE_HOLD_S", 0.02)
    return Replica()


async def ask(client: httpx.AsyncClient, token: str | None, node: str = "edge-1", version: str = "") -> httpx.Response:
    body = {"node": {"id": node}, **({"version_info": version} if version else {})}
    headers = {} if token is None else {TOKEN_HEADER: token}
    return await client.post("/v3/discovery:routes", json=body, headers=headers)


@pytest.mark.parametrize(
    ("token", "status", "answer"),
    [
        ("token-of-edge-1", 200, "new"),
        (None, 401, "refused"),
        ("", 401, "refused"),
        ("expired", 401, "refused"),
        ("token-of-edge-2", 403, "refused"),
        ("lost", 503, "unchecked"),
    ],
)
def test_only_the_gateway_itself_gets_its_configuration(
    replica: Replica, token: str | None, status: int, answer: str
) -> None:
    got = replica.run(lambda client: ask(client, token))
    assert got.status_code == status
    assert replica.answers == [("rds", answer)]
    assert (status == 200) == ("resources" in got.json())


@pytest.mark.parametrize("token", [None, "token-of-edge-2", "lost"])
def test_who_is_refused_waits_before_it_learns_that(
    replica: Replica, monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    """Envoy asks again 50 ms after an answer."""
    monkeypatch.setattr(server, "THROTTLE_HOLD_S", 0.3)
    began = time.monotonic()
    replica.run(lambda client: ask(client, token))
    assert time.monotonic() - began > 0.2


def test_a_token_is_read_before_the_body(replica: Replica) -> None:
    async def talk(client: httpx.AsyncClient) -> int:
        return (await client.post("/v3/discovery:routes", content=b" " * (MAX_REQUEST_BYTES + 1))).status_code

    assert replica.run(talk) == 401


def test_a_refusal_is_logged_with_address_and_reason_once_a_minute(
    replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    async def talk(client: httpx.AsyncClient) -> None:
        for token in (None, "expired", None):
            await ask(client, token)
        replica.now += callers.COMPLAIN_EVERY_S
        await ask(client, "token-of-edge-2")
        async with replica.client("10.0.0.2") as other:
            await ask(other, "lost")

    with caplog.at_level(logging.WARNING, logger="fairlead.control"):
        replica.run(talk)
    assert [record.getMessage() for record in caplog.records] == [
        "a request of 10.0.0.1 for a gateway's configuration is refused: the request has no token",
        "a request of 10.0.0.1 for a gateway's configuration is refused: "
        "it names the gateway 'edge-1', and its token is of 'edge-2'",
        "a request of 10.0.0.2 for a gateway's configuration cannot be answered: no answer; look at the API server",
    ]


def test_an_impostor_at_the_gateways_own_address_does_not_disturb_it(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, at the address of a proxy that stands for both, it ended the gateway's requests and used up its rate."""
    monkeypatch.setattr(server, "THROTTLE_HOLD_S", 5)

    async def talk(client: httpx.AsyncClient) -> httpx.Response:
        assert (await ask(client, "token-of-edge-1")).status_code == 200
        held = asyncio.create_task(ask(client, "token-of-edge-1", version=routes(3).version))
        await asyncio.sleep(0.02)
        wrong = [asyncio.create_task(ask(client, token)) for token in ("expired", "token-of-edge-2") for _ in range(50)]
        await asyncio.sleep(0.1)
        assert not held.done()
        replica.cache.put({"rds": routes(4)})
        answer = await asyncio.wait_for(held, 5)
        replica.cache.close()
        statuses = {one.status_code for one in await asyncio.gather(*wrong)}
        assert statuses <= {401, 403, 429}
        return answer

    assert replica.run(talk).json()["version_info"] == routes(4).version
    assert replica.tokens.checks <= 2 + callers.MAX_UNPROVEN_OF_ONE, "and the API server is asked rarely"


def test_the_number_of_addresses_that_complaints_are_remembered_for_is_limited(
    replica: Replica, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(callers, "MAX_COMPLAINTS", 2)

    async def talk(_: httpx.AsyncClient) -> None:
        for number in (1, 2, 3, 1):
            async with replica.client(f"10.0.1.{number}") as client:
                await ask(client, None)

    with caplog.at_level(logging.WARNING, logger="fairlead.control"):
        replica.run(talk)
    assert len(caplog.records) == 4
