"""The application of the console: its pages, their files, and the stream of changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fairlead import errors
from fairlead.control.console.fragments import FLEET, STATIC, Fragments, static_files
from fairlead.control.console.live import Live
from fairlead.control.console.reading import SHOWN, Reader
from fairlead.control.hosts import OnlyHosts
from fairlead.routing.envoy.admin_page import LOOPBACK_HOSTS

HEADERS = {
    # Nothing of another origin, nothing inside the page's text, and the page inside no other.
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
SEND_S = 30.0
"""How long a page may take to receive what was sent to it."""
_STATUS = {errors.NotFound: 404, errors.Invalid: 400}


class Console:
    """ASGI application for `/` and everything below `/console`. `close` ends the open streams."""

    def __init__(self, reader: Reader, hosts: Collection[str] = ()) -> None:
        """`hosts` are answered for besides those of loopback: a name that leads here is not enough."""
        files = static_files()
        self._fragments = Fragments(reader, files)
        self._live = Live(self._fragments.parts, reader.change_token, log=logging.getLogger("fairlead.console"))
        self._files = files
        routes = [
            Route("/", self._fleet),
            Route("/console/routes/{name}", self._route),
            Route("/console/routes/{name}/at", self._at),
            Route("/console/events", self._events),
            Route("/console/static/{name}", self._static),
        ]
        handlers = {errors.FairleadError: self._problem, HTTPException: self._refused}
        app = Starlette(routes=routes, exception_handlers=handlers, middleware=[Middleware(_WithHeaders)])
        self._app: ASGIApp = OnlyHosts(app, (*LOOPBACK_HOSTS, *hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._app(scope, receive, send)

    def close(self) -> None:
        """End the streams of open pages; called by the event loop of the server."""
        self._live.close()

    # Pages are made on threads: the store may be slow, and the event loop answers gateways.

    def _fleet(self, request: Request) -> Response:  # noqa: ARG002 - the signature of a route
        return _page(self._fragments.page(FLEET))

    def _route(self, request: Request) -> Response:
        asked = request.query_params.get("revisions", "")
        limit = int(asked) if asked.isdecimal() and len(asked) < 5 else SHOWN
        return _page(self._fragments.page(request.path_params["name"], limit))

    def _at(self, request: Request) -> Response:
        return _page(self._fragments.at(request.path_params["name"], request.query_params.get("time", "")))

    def _static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._files:
            raise errors.NotFound(f"there is no file {name!r}")
        caching = {"cache-control": "public, max-age=31536000, immutable"}
        return Response(self._files[name], media_type=STATIC[name], headers=caching)

    async def _events(self, request: Request) -> Response:
        if self._live.is_full:
            return PlainTextResponse("too many pages are open\n", status_code=503)
        return _Stream(self._live, request.query_params.get("route", FLEET))

    def _problem(self, request: Request, error: Exception) -> Response:  # noqa: ARG002 - the signature of a handler
        assert isinstance(error, errors.FairleadError)
        status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 503)
        return _page(self._fragments.problem(_TITLES.get(status, "Not available"), error), status)

    def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        found = errors.NotFound(f"there is no page {request.url.path}")
        if error.status_code == 405:  # noqa: PLR2004 - Method Not Allowed
            found = errors.NotFound(
                f"{request.url.path} can only be read", hint="changes are made with the commands that the pages show"
            )
        page = self._fragments.problem(_TITLES.get(error.status_code, "Not available"), found)
        return HTMLResponse(page, error.status_code, headers=dict(error.headers or {}))


_TITLES = {400: "That cannot be read", 404: "Not found", 405: "Read only"}


def _page(html: str, status: int = 200) -> Response:
    return HTMLResponse(html, status, headers={"cache-control": "no-store"})


class _WithHeaders:
    """ASGI middleware: adds `HEADERS` to every answer, also to errors."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self._app(scope, receive, with_headers)


class _Stream(Response):
    """Server-sent events until the page is closed, or receives too slowly."""

    def __init__(self, live: Live, topic: str) -> None:
        super().__init__(media_type="text/event-stream", headers={"cache-control": "no-store"})
        del self.headers["content-length"]
        self._live, self._topic = live, topic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        writing = asyncio.create_task(self._write(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait((writing, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writing, leaving):
                task.cancel()
            await asyncio.gather(writing, leaving, return_exceptions=True)

    async def _write(self, send: Send) -> None:
        events = self._live.follow(self._topic)
        try:
            async for event in events:
                async with asyncio.timeout(SEND_S):
                    await send({"type": "http.response.body", "body": event, "more_body": True})
        finally:
            await events.aclose()
        await send({"type": "http.response.body", "body": b""})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
