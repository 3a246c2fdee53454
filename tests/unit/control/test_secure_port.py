"""The port with TLS: who is refused is told why, and requests go to what answers them."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp

from fairlead.contracts.gateway import name_for_gateways
from fairlead.control.holds import elsewhere, mounted
from fairlead.control.secure_port import COMPLAIN_EVERY_S, Complaints, Refusal, for_gateways, names_of

GATEWAY = "fairlead-gateway.models.svc.cluster.local"


def refusing(complaints: Complaints) -> Refusal:
    """Without a pause."""
    return Refusal(GATEWAY, complaints, lambda kind, answer: None, pause=lambda: asyncio.sleep(0))


def get(app: ASGIApp, path: str, address: str = "127.0.0.1") -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app, client=(address, 1)), base_url="http://control"
        ) as client:
            return await client.get(path)

    return asyncio.run(ask())


def saying(text: str) -> ASGIApp:
    return PlainTextResponse(text)


@pytest.mark.parametrize(
    ("path", "who"),
    [("/v3/discovery:routes", "tables"), ("/hold/models/iris/predict", "the API"), ("/models", "the API")],
)
def test_all_that_gateways_ask_is_answered_at_one_port(path: str, who: str) -> None:
    assert get(for_gateways(saying("tables"), saying("the API")), path).text == who


def test_where_no_request_may_be_held_a_gateway_asks_again_on_another_connection() -> None:
    api = mounted(elsewhere, saying("the API"))
    answer = get(api, "/hold/models/iris/predict")
    assert (answer.status_code, answer.headers["connection"]) == (503, "close")
    assert get(api, "/models").text == "the API"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["*.models.svc.cluster.local", "b"], "has the name *.models.svc.cluster.local, b"),
        ([], "has no name"),
    ],
)
def test_a_refusal_says_which_name_the_client_has_and_which_one_is_answered(names: list[str], said: str) -> None:
    answer = get(refusing(Complaints()).of(names), "/models")
    expected = f"the certificate of this client {said}, and only {GATEWAY} is answered here"
    assert (answer.status_code, answer.json()["detail"]) == (403, expected)


def test_a_refusal_comes_after_a_pause_and_requests_for_tables_are_counted() -> None:
    seen: list[object] = []

    async def pause() -> None:
        seen.append("pause")

    app = Refusal(GATEWAY, Complaints(), lambda kind, answer: seen.append((kind, answer)), pause=pause).of(["other"])
    for path in ("/v3/discovery:routes", "/v3/discovery:none", "/models"):
        get(app, path)
    assert seen == ["pause", ("rds", "refused"), "pause", "pause"]


def test_each_address_is_in_the_log_whatever_others_do(caplog: pytest.LogCaptureFixture) -> None:
    app = refusing(Complaints()).of(["other"])
    with caplog.at_level(logging.WARNING, "fairlead.control"):
        for address in ("10.0.0.1", "10.0.0.2", "10.0.0.1"):
            get(app, "/models", address)
    assert [one.getMessage().split()[3] for one in caplog.records] == ["10.0.0.1", "10.0.0.2"]


def test_refusals_are_in_the_log_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    refusal = refusing(Complaints(monotonic=lambda: now))
    with caplog.at_level(logging.WARNING, "fairlead.control"):
        for now in (0.0, 1.0, COMPLAIN_EVERY_S - 1, COMPLAIN_EVERY_S):  # noqa: B007
            get(refusal.of(["other"]), "/models")
    assert len(caplog.records) == 2
    assert "of 127.0.0.1 is refused: the certificate of this client has the name other" in caplog.text


@pytest.mark.parametrize(
    ("certificate", "names"),
    [
        ({"subjectAltName": (("DNS", "a"), ("IP Address", "10.0.0.1"), ("DNS", "b"))}, ["a", "b"]),
        ({"subject": ((("commonName", GATEWAY),),)}, []),
        (None, []),
    ],
)
def test_only_dns_names_count(certificate: dict[str, Any] | None, names: list[str]) -> None:
    assert names_of(certificate) == names


def test_the_name_that_gateways_verify_is_in_no_certificate_for_all_services_of_the_namespace() -> None:
    host = "fairlead-control-plane.models.svc.cluster.local."
    verified = name_for_gateways(host)
    assert verified == f"gateways.{host[:-1]}"
    assert verified.partition(".")[2] != "models.svc.cluster.local"
