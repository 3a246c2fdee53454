from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.responses import PlainTextResponse

from fairlead.control.hosts import LOOPBACK_HOSTS, OnlyHosts


def status(host: str, *more: str) -> int:
    app = OnlyHosts(PlainTextResponse("answered"), (*LOOPBACK_HOSTS, *more))

    async def ask() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return (await client.get("/api/v1/routes", headers={"host": host})).status_code

    return asyncio.run(ask())


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LocalHost"])
@pytest.mark.parametrize("port", ["", ":8081"])
def test_loopbacks_own_hosts_are_answered_with_any_port(host: str, port: str) -> None:
    assert status(host + port) == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8081", "localhost.evil.example", "[::2]", "", ":80"])
def test_other_hosts_are_refused(host: str) -> None:
    assert status(host) == 421


def test_hosts_of_the_settings_are_answered() -> None:
    assert status("a.corp.example:80", "*.corp.example") == 200
    assert status("corp.example", "*.corp.example") == 421
    assert status("models.example", "models.example") == 200
    assert status("evil.example", "*") == 200
