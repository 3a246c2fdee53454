"""The application of the console: its pages, their files, and the stream of changes."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fairlead import errors
from fairlead.contracts.gateway import pin_name
from fairlead.control.console.acting import FLEET, Acting, new_request
from fairlead.control.console.forms import read_form
from fairlead.control.console.fragments import NOBODY, STATIC, Fragments, Seen, Topic, Tried, static_files
from fairlead.control.console.live import Live
from fairlead.control.console.reading import SHOWN, Reader, versions
from fairlead.control.console.stream import Stream
from fairlead.control.console.trial import Presets, Trial, typed
from fairlead.control.hosts import OnlyHosts
from fairlead.control.origins import READING
from fairlead.routing.envoy.admin_page import LOOPBACK_HOSTS

HEADERS = {
    # Nothing of another origin, nothing inside the page's text, and the page inside no other.
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    # With `no-referrer` a browser would not say which page sent a form.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
MAX_SHOWN_PATH = 80
_STATUS = {errors.NotFound: 404, errors.Invalid: 400, errors.Refused: 403, errors.Conflict: 409}
_TITLES = {400: "That cannot be read", 403: "Refused", 404: "Not found", 405: "Read only", 409: "Too late"}


class Console:
    """ASGI application for `/` and everything below `/console`. `close` ends the open streams."""

    def __init__(
        self,
        reader: Reader,
        hosts: Collection[str] = (),
        *,
        acting: Acting | None = None,
        trial: Trial | None = None,
    ) -> None:
        """`hosts` are answered for besides those of loopback: a name that leads here is not enough.

        Without `acting` the pages only read, and without `trial` no row can be tried.
        """
        files = static_files()
        self._reader, self._acting, self._trial = reader, acting, trial
        self._fragments = Fragments(reader, files, can_act=acting is not None, can_try=trial is not None)
        self._live: Live[Topic] = Live(
            self._fragments.parts, reader.change_token, log=logging.getLogger("fairlead.console")
        )
        self._files = files
        routes = [
            Route("/", self._fleet),
            Route(FLEET, self._fleet),
            Route("/console/routes/{name}", self._route),
            Route("/console/routes/{name}/at", self._at),
            Route("/console/routes/{name}/drift", self._drift),
            Route("/console/events", self._events),
            Route("/console/static/{name}", self._static),
        ]
        if acting is not None:
            routes += [
                Route("/console/routes/{name}/act", self._act, methods=["POST"]),
                Route("/console/sign-in", acting.enter),
                Route("/console/sign-out", acting.leave, methods=["POST"]),
            ]
        if trial is not None:
            routes += [
                Route("/console/routes/{name}/try", self._try),
                Route("/console/routes/{name}/try", self._send, methods=["POST"]),
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
        self._reader.close()

    # Pages are made on threads: the store may be slow, and the event loop answers gateways.

    def _fleet(self, request: Request) -> Response:
        return _page(self._fragments.fleet(self._seen(request)))

    def _route(self, request: Request) -> Response:
        name, asked = _name(request), request.query_params.get("revisions", "")
        limit = int(asked) if asked.isdecimal() and len(asked) < 5 else SHOWN
        seen = self._seen(request)
        if self._acting is not None and seen.session is not None:
            done = self._acting.action(name, request.query_params.get("asked", ""))
            seen = seen._replace(outcome=self._fragments.outcome(*done)) if done is not None else seen
        return _page(self._fragments.page(name, limit, seen))

    def _at(self, request: Request) -> Response:
        asked = request.query_params.get("time", "")
        return _page(self._fragments.at(_name(request), asked, self._seen(request)))

    def _drift(self, request: Request) -> Response:
        return _page(self._fragments.drift(_drift_topic(_name(request), request), self._seen(request)))

    def _seen(self, request: Request) -> Seen:
        session = self._acting.session(request) if self._acting is not None else None
        return Seen(session, new_request()) if session is not None else NOBODY

    async def _act(self, request: Request) -> Response:
        """Carry out a request. A script gets the outcome; a page without one is led to itself, and shows it."""
        assert self._acting is not None
        name = _name(request)
        action, versions = await self._acting.act(request, name)
        if _is_script(request):
            return JSONResponse({"html": self._fragments.outcome(action, versions), "request": new_request()})
        return RedirectResponse(f"/console/routes/{quote(name, safe='')}?asked={quote(action.name)}#outcome", 303)

    def _try(self, request: Request) -> Response:
        asked = request.query_params
        tried = self._tried(_name(request), asked.get("version"), None)
        number = asked.get("row", "1")
        at = int(number) - 1 if number.isdecimal() and len(number) < 3 else 0
        rows = tried.presets.rows
        row = rows[at].text if 0 <= at < len(rows) else rows[0].text if rows else "{}"
        return _page(self._fragments.tried(tried._replace(row=row), self._seen(request)))

    async def _send(self, request: Request) -> Response:
        form = await read_form(request)
        return await run_in_threadpool(self._sent, request, form)

    def _sent(self, request: Request, form: Mapping[str, str]) -> Response:
        assert self._trial is not None
        name, row, status = _name(request), typed(form.get("row", "")), 200
        key = form.get("key", "")
        tried = self._tried(name, form.get("version", ""), row, key)
        limit_s = self._reader.table(name).request_timeout_s
        try:
            answer = self._trial.send(tried.model, tried.version, row, limit_s, tried.presets, key)
            tried = tried._replace(answer=answer)
        except errors.FairleadError as error:
            tried, status = tried._replace(problem=error), _status(error)
        return _page(self._fragments.tried(tried, self._seen(request)), status)

    def _tried(self, name: str, version: str | None, row: str | None, key: str = "") -> Tried:
        """The form with this version, by default stable's name; an empty one means that the weights choose.

        A cold version is not asked for its golden rows: that would start it, and only who sends a row wants that.
        """
        assert self._trial is not None
        table = self._reader.table(name)
        known = versions(table)
        chosen = next(iter(known)) if version is None else version
        if chosen and chosen not in known:
            raise errors.NotFound(f"{name} has no version {chosen[:MAX_SHOWN_PATH]!r} that can be asked now")
        asked = chosen or next(iter(known))
        is_cold = any(pin_name(table, one) == asked for one in table.cold)
        presets = (
            Presets(why=f"{asked} is cold, so its golden rows are shown when it runs.")
            if is_cold
            else self._trial.presets(table.model, asked, key)
        )
        return Tried(table.model, known, chosen, row or "", presets, is_cold, self._trial.asks_for_key)

    def _static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._files:
            raise errors.NotFound(f"there is no file {name[:MAX_SHOWN_PATH]!r}")
        caching = {"cache-control": "public, max-age=31536000, immutable"}
        return Response(self._files[name], media_type=STATIC[name], headers=caching)

    async def _events(self, request: Request) -> Response:
        if self._live.is_full:
            return PlainTextResponse("too many pages are open\n", status_code=503)
        name = request.query_params.get("route", "")
        if name:
            _require_short(name)
            await run_in_threadpool(self._reader.exists, name)
        if name and "drift" in request.query_params:
            return Stream(self._live, _drift_topic(name, request))
        may_act = self._acting is not None and self._acting.session(request) is not None
        return Stream(self._live, Topic(name, bool(name) and may_act and "acts" in request.query_params))

    def _problem(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, errors.FairleadError)
        status, topic = _status(error), str(request.path_params.get("name", ""))
        if _is_script(request):
            return JSONResponse({"html": self._fragments.refusal(error)}, status)
        title = _TITLES.get(status, "Not available")
        return _page(self._fragments.problem(title, error, topic if status != 404 else ""), status)  # noqa: PLR2004

    def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        path = request.url.path
        path = path if len(path) <= MAX_SHOWN_PATH else f"{path[:MAX_SHOWN_PATH]}..."
        found = errors.NotFound(f"there is no page {path}")
        if error.status_code == 405:  # noqa: PLR2004 - Method Not Allowed
            found = errors.NotFound(
                f"{path} can only be {'sent' if request.method in READING else 'read'}",
                hint="changes are made with the commands that the pages show",
            )
        page = self._fragments.problem(_TITLES.get(error.status_code, "Not available"), found)
        return HTMLResponse(page, error.status_code, headers=dict(error.headers or {}))


def _name(request: Request) -> str:
    """The model in the path. Raises NotFound if it is too long to be one: errors repeat it."""
    name = str(request.path_params["name"])
    _require_short(name)
    return name


def _drift_topic(name: str, request: Request) -> Topic:
    version, of_slice = (request.query_params.get(one, "")[:MAX_SHOWN_PATH] for one in ("version", "slice"))
    return Topic(name, drift=True, version=version, slice=of_slice)


def _require_short(name: str) -> None:
    if len(name) > MAX_SHOWN_PATH:
        raise errors.NotFound(f"there is no model {name[:MAX_SHOWN_PATH]}...")


def _status(error: errors.FairleadError) -> int:
    return next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 503)


def _is_script(request: Request) -> bool:
    """Whether the script of a page asks: it puts the answer into the page."""
    return request.headers.get("accept") == "application/json"


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
