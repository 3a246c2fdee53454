from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.responses import PlainTextResponse

from fairlead.control.origins import READING, OnlyOwnPages

ALLOWED = "https://app.example"


def status(method: str, *origins: str, **headers: str) -> int:
    app = OnlyOwnPages(PlainTextResponse("answered"), origins)
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def ask() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8081") as client:
            return (await client.request(method, "/v2/repository/index", headers=named)).status_code

    return asyncio.run(ask())


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://evil.example", "sec_fetch_site": "same-origin"},
        {"origin": "http://localhost:3000"},
        {"origin": "http://localhost:8081.evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
    ids=str,
)
def test_a_page_of_another_site_may_send_nothing_that_could_change_something(
    method: str, headers: dict[str, str]
) -> None:
    """Before, it got the answer of every path."""
    assert status(method, ALLOWED, **headers) == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://localhost:8081", "sec_fetch_site": "same-origin"},
        {"origin": ALLOWED, "sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
    ],
    ids=str,
)
def test_programs_own_pages_and_listed_origins_are_answered(headers: dict[str, str]) -> None:
    assert status("POST", ALLOWED, **headers) == 200


def test_a_star_allows_every_origin() -> None:
    assert status("POST", "*", origin="http://evil.example") == 200


@pytest.mark.parametrize("method", sorted(READING))
def test_reading_is_never_refused(method: str) -> None:
    assert status(method, origin="http://evil.example", sec_fetch_site="cross-site") == 200
