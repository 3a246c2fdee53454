from __future__ import annotations

import asyncio
import base64
import json
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.control.gateway_tokens import AUDIENCE, MAX_BYTES, RECHECK_S, GatewayTokens
from fairlead.errors import Refused, Unavailable

ACCOUNT = "system:serviceaccount:models:fairlead-gateway"
NOW = 1_000_000.0


def part(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def token(signature: str = "c2ln", **changes: object) -> str:
    claims = {"aud": [AUDIENCE], "sub": ACCOUNT, "exp": NOW + 3600, **changes}
    return f"{part({'alg': 'RS256'})}.{part(claims)}.{signature}"


class ApiServer:
    """Answers reviews with `status`, and counts them."""

    def __init__(self) -> None:
        self.status: dict[str, Any] = accepted()
        self.error: Exception | None = None
        self.reviews = 0
        self.may_answer = threading.Event()
        self.may_answer.set()

    def request(self, method: str, path: str, *, body: dict[str, Any] | None = None, **_: Any) -> dict[str, Any]:
        assert (method, path) == ("POST", "/apis/authentication.k8s.io/v1/tokenreviews")
        assert body is not None
        assert body["spec"]["audiences"] == [AUDIENCE]
        self.reviews += 1
        self.may_answer.wait(5)
        if self.error is not None:
            raise self.error
        return {"status": self.status}


def accepted(pod: str | None = "edge-1", **changes: Any) -> dict[str, Any]:
    extra = {"authentication.kubernetes.io/pod-name": [pod]} if pod else {}
    user = {"username": ACCOUNT, "extra": extra}
    return {"authenticated": True, "audiences": [AUDIENCE], "user": user, **changes}


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> ApiServer:
    return ApiServer()


def check(tokens: GatewayTokens, text: str) -> str:
    return asyncio.run(tokens.check(text))


def test_a_token_is_of_the_pod_that_the_api_server_names(server: ApiServer) -> None:
    tokens = GatewayTokens(server, ACCOUNT, clock=Clock())
    assert tokens.known(token()) is None
    assert check(tokens, token()) == "edge-1"
    assert tokens.known(token()) == "edge-1"
    assert tokens.known(token("b3RoZXI")) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has no token"),
        ("secret", "not a token"),
        ("a.b.c", "not a token"),
        (f"a.{part([1])}.c", "not a token"),
        (token("s" * MAX_BYTES), "not a token"),
        (token(exp=NOW), "has expired"),
        (token(exp=None), "no time at which it expires"),
        (token(aud=["https://kubernetes.default.svc"]), "not for the audience fairlead-xds"),
        (token(aud="fairlead"), "not for the audience fairlead-xds"),
        (token(sub="system:serviceaccount:models:default"), "'system:serviceaccount:models:default', not of"),
        (token(sub="system:serviceaccount:other:fairlead-gateway"), "not of system:serviceaccount:models"),
        (token(sub=None), "not of"),
    ],
)
def test_a_token_that_cannot_be_a_gateways_is_refused_without_a_review(server: ApiServer, text: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        check(GatewayTokens(server, ACCOUNT, clock=Clock()), text)
    assert server.reviews == 0


@given(st.text(max_size=200))
def test_any_text_is_refused_and_nothing_else_is_raised(text: str) -> None:
    with pytest.raises(Refused):
        check(GatewayTokens(ApiServer(), ACCOUNT, clock=Clock()), text)


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ({"authenticated": False, "error": "the key is not trusted"}, "does not accept the token: the key is not"),
        ({}, "it is not valid"),
        (accepted(audiences=None), "does not confirm the audience"),
        (accepted(audiences=["https://kubernetes.default.svc"]), "does not confirm the audience"),
        (accepted(user={"username": "system:serviceaccount:models:default"}), "not of system:serviceaccount:models"),
        (accepted(user={}), "not of"),
        (accepted(None), "not bound to a pod"),
    ],
)
def test_what_the_api_server_says_counts_not_what_the_token_says(
    server: ApiServer, status: dict[str, Any], why: str
) -> None:
    server.status = status
    tokens = GatewayTokens(server, ACCOUNT, clock=Clock())
    with pytest.raises(Refused, match=why):
        check(tokens, token())
    assert tokens.known(token()) is None


def seen_twice(tokens: GatewayTokens, text: str) -> list[str | None]:
    """What is known of a token at a request, and at one after the review that the first one started."""

    async def ask() -> list[str | None]:
        first = tokens.known(text)
        await asyncio.gather(*tokens._running.values(), return_exceptions=True)  # noqa: SLF001
        return [first, tokens.known(text)]

    return asyncio.run(ask())


def test_a_token_is_checked_again_every_minute_because_its_pod_may_be_gone(server: ApiServer) -> None:
    clock = Clock()
    tokens = GatewayTokens(server, ACCOUNT, clock=clock)
    check(tokens, token())
    clock.now += RECHECK_S - 1
    assert seen_twice(tokens, token()) == ["edge-1", "edge-1"]
    assert server.reviews == 1
    clock.now += 1
    assert seen_twice(tokens, token()) == ["edge-1", "edge-1"]
    assert server.reviews == 2
    server.status = {"authenticated": False}
    clock.now += RECHECK_S
    assert seen_twice(tokens, token()) == ["edge-1", None]
    with pytest.raises(Refused):
        check(tokens, token())


def test_while_the_api_server_is_away_a_token_that_it_accepted_counts_until_it_expires(server: ApiServer) -> None:
    clock = Clock()
    tokens = GatewayTokens(server, ACCOUNT, clock=clock)
    check(tokens, token())
    server.error = Unavailable("no answer")
    clock.now += 3599
    assert seen_twice(tokens, token()) == ["edge-1", "edge-1"]
    with pytest.raises(Unavailable):
        check(tokens, token("b3RoZXI"))
    clock.now += 1
    assert tokens.known(token()) is None
    with pytest.raises(Refused, match="has expired"):
        check(tokens, token())


def test_a_control_plane_that_may_not_ask_says_so_and_does_not_blame_the_gateway(server: ApiServer) -> None:
    server.error = Refused("cannot create resource tokenreviews")
    with pytest.raises(Unavailable, match="does not check tokens for the control plane") as raised:
        check(GatewayTokens(server, ACCOUNT, clock=Clock()), token())
    assert "controlPlane.checkGatewayTokens" in str(raised.value.hint)


def test_requests_that_come_together_with_one_token_need_one_review(server: ApiServer) -> None:
    tokens = GatewayTokens(server, ACCOUNT, clock=Clock())
    server.may_answer.clear()

    async def three() -> list[str]:
        asked = [asyncio.create_task(tokens.check(token())) for _ in range(3)]
        await asyncio.sleep(0)
        asked.append(asyncio.create_task(tokens.check(token())))
        await asyncio.sleep(0.02)
        asked.pop(0).cancel()  # its client has disconnected
        server.may_answer.set()
        return await asyncio.gather(*asked)

    assert asyncio.run(three()) == ["edge-1"] * 3
    assert server.reviews == 1


def test_the_number_of_known_tokens_is_limited(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead.control.gateway_tokens.MAX_KNOWN", 2)
    tokens = GatewayTokens(server, ACCOUNT, clock=Clock())
    texts = [token(jti=number) for number in range(3)]
    for text in texts:
        check(tokens, text)
    assert [tokens.known(text) for text in texts] == [None, "edge-1", "edge-1"]
