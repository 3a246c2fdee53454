from __future__ import annotations

import asyncio

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse

from fairlead.control.hosts import OnlyHosts
from fairlead.routing.envoy.admin_page import LOOPBACK_HOSTS


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
    assert status(".corp.example", "*.corp.example") == 421
    assert status("models.example", "models.example") == 200
    assert status("evil.example", "*") == 200


LABELS = st.text("ab-0", min_size=1, max_size=3)
NAMES = st.lists(LABELS, min_size=1, max_size=3).map(".".join)
LISTED = st.one_of(NAMES, NAMES.map("*.{}".format))
"""Hosts as `contracts.platform.Host` allows them."""


@settings(max_examples=60)
@given(hosts=st.lists(LISTED, min_size=1, max_size=3), data=st.data())
def test_a_host_is_answered_exactly_where_a_domain_of_envoy_matches_it(hosts: list[str], data: st.DataObject) -> None:
    ends = [host.removeprefix("*") for host in hosts]  # what a name that is nearly listed looks like
    asked = data.draw(
        st.one_of(NAMES, st.sampled_from(hosts), st.builds("{}{}".format, LABELS | st.just(""), st.sampled_from(ends)))
    )
    named = any(asked == host for host in hosts if host[0] != "*")
    below = any(asked.endswith(host[1:]) and asked != host[1:] for host in hosts if host[0] == "*")  # `*` is not empty
    assert status(asked, *hosts) == (200 if named or below else 421)
