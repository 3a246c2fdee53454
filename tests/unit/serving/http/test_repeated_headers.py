"""A header that occurs twice: none of its values just counts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.small_models import Reply, Wire, ask, running, scope
from unit.serving.http.flowers import FLOWERS, PREDICT, V2, detail
from unit.serving.http.test_binary_forms import HEADER, OCTETS, PETAL, RAW, WIDTH, mixed

BODY, HEADERS = mixed({"inputs": [WIDTH, PETAL]}, RAW)
ROW = b'{"width": 1.5, "petals": 3}'


def answered(path: str, body: bytes, headers: dict[str, str], *more: tuple[bytes, bytes]) -> list[Reply]:
    """The responses to a request with further headers, on both ways in."""

    async def check() -> list[Reply]:
        async with running(FLOWERS) as app:

            async def repeats(asked: dict[str, Any], receive: Any, send: Any) -> None:
                asked["headers"] += more
                await app(asked, receive, send)

            wire, asked = Wire(), scope("POST", path, headers)
            asked["headers"] += more
            whole = app.fast_path.begin(asked, body, wire)
            others = [await ask(repeats, "POST", path, body, headers)]
            return [await wire.reply(), *others] if whole else others

    return asyncio.run(check())


def test_the_request_is_answered_as_long_as_each_header_occurs_once() -> None:
    assert {one.status for one in answered(V2, BODY, HEADERS)} == {200}


@pytest.mark.parametrize("second", [HEADERS[HEADER], "1"])
def test_two_lengths_of_the_json_are_refused(second: str) -> None:
    for reply in answered(V2, BODY, HEADERS, (HEADER.encode(), second.encode())):
        assert (reply.status, HEADER in detail(reply)) == (422, True), reply


@pytest.mark.parametrize(
    ("name", "first", "second", "status"),
    [
        ("content-type", "application/json", "text/plain", 415),
        ("content-type", OCTETS, "application/json", 415),
        ("x-deadline-ms", "1", "60000", 422),
        ("content-encoding", "br", "gzip", 415),
    ],
)
def test_none_of_two_values_just_counts(name: str, first: str, second: str, status: int) -> None:
    for reply in answered(PREDICT, ROW, {name: first}, (name.encode(), second.encode())):
        assert reply.status == status, reply
