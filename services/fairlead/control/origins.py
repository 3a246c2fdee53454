"""Refuses what a page of another site sends with a method that may change something.

The API only reads. The console's forms have a stricter rule of their own besides, `is_own_page`. This keeps a path
that is added later from being the first one that any page can use.
"""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

READING = frozenset({"GET", "HEAD", "OPTIONS"})
_OTHER_SITES = frozenset({"cross-site", "same-site"})


def is_own_page(headers: Headers) -> bool:
    """Whether a browser says that a page of this very host and port sent the request; programs do not say it."""
    return _is_of_host(headers.get("origin", ""), headers) and headers.get("sec-fetch-site", "same-origin") == (
        "same-origin"
    )


def _is_of_host(origin: str, headers: Headers) -> bool:
    # A browser always sends the host of the page's origin with its port, unless it is the scheme's own.
    return bool(origin) and origin.partition("://")[2] == headers.get("host")


class OnlyOwnPages:
    """ASGI middleware: 403 for a POST of a page that is neither of this host nor of one of the `origins` (`*`: all).

    Only browsers say whose page sends a request (`Origin`, `Sec-Fetch-Site`). Programs do not, and are answered.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str] = ()) -> None:
        self._app, self._origins = app, frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http" or scope["method"] in READING or self._may(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        detail = "a page of another site sent this request; to allow its origin, list it in gateway.corsOrigins"
        body = {"type": "about:blank", "title": "Forbidden", "status": 403, "detail": detail, "error": detail}
        await JSONResponse(body, status_code=403)(scope, receive, send)

    def _may(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site") not in _OTHER_SITES
        if origin in self._origins or "*" in self._origins:
            return True
        return _is_of_host(origin, headers)
