"""The control plane's HTTP API on loopback: routes, ledger history, and which version a request would get.

The API only reads. Commands write specs and actions to the store, with the name of the actor. The gateway forwards
`/models`, `/v2` and requests with `x-route-explain: 1` to the API.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Route as Path
from starlette.types import ASGIApp

from fairlead import __version__, errors
from fairlead.contracts.base import as_query_time
from fairlead.contracts.gateway import EXTENSIONS
from fairlead.contracts.health import STALE_AFTER_S, Health, health_of
from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Checkpoint, Revision
from fairlead.contracts.route import Route, UnreadableRoute
from fairlead.control import docs_page, repository, wanted
from fairlead.control.metrics import CONTENT_TYPE, Metrics
from fairlead.control.repository import may_see
from fairlead.routing.explain import explain, to_json
from fairlead.routing.rules import model_in
from fairlead.routing.snapshot import Routed
from fairlead.store.statuses import read_status

SILENT_AFTER_S = 30.0
"""Without a turn for this long the loop is stuck, and the process should be restarted."""
_METHODS = {"/models": "GET", "/v2": "GET", "/v2/repository/index": "POST"}
"""The gateway's own paths that the API answers, each with its one method."""
_STATUS = {errors.NotFound: 404, errors.Invalid: 400, errors.Conflict: 409, errors.Refused: 403}


class ApiStore(Protocol):
    """The part of the store that the API reads."""

    def routes(self) -> list[Route]: ...  # noqa: D102
    def unreadable_routes(self) -> list[UnreadableRoute]: ...  # noqa: D102
    def route(self, name: str) -> Route: ...  # noqa: D102
    def head(self, route: str) -> Revision | None: ...  # noqa: D102
    def revisions(self, route: str, *, limit: int | None = None) -> list[Revision]: ...  # noqa: D102
    def at(self, route: str, moment: datetime) -> Revision: ...  # noqa: D102
    def checkpoint(self, route: str) -> Checkpoint | None: ...  # noqa: D102
    def status(self, route: str) -> dict[str, object] | None: ...  # noqa: D102
    def instances(self) -> list[Instance]: ...  # noqa: D102


class LoopHealth(Protocol):
    """The part of the loop that the health checks read."""

    beat: float


def build_api(
    store: ApiStore,
    loop: LoopHealth,
    *,
    metrics: Metrics | None = None,
    console: ASGIApp | None = None,
    unready: Callable[[], str] = lambda: "",
) -> FastAPI:
    """The application. Every path is answered from the store, so any replica can answer it.

    `unready` returns one more reason why this replica is not ready; empty when there is none.
    """
    app = FastAPI(
        title="Fairlead control plane",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,  # FastAPI's pages load their scripts from the internet
        redoc_url=None,
    )

    @app.get("/api/docs", include_in_schema=False)
    def described() -> HTMLResponse:
        return HTMLResponse(docs_page.page(app.openapi()), headers=docs_page.HEADERS)

    app.include_router(_gateway_paths(store, loop))
    app.include_router(repository.router(store))
    app.include_router(
        wanted.router(store, lambda request: explain_request(store, request) if _asks_to_explain(request) else None)
    )
    app.include_router(_api(store), prefix="/api/v1")
    app.include_router(_health_checks(loop, unready))
    if metrics is not None:
        app.include_router(_metrics(metrics))
    if console is not None:
        # No gateway forwards these paths: the console is for those who reach this port.
        app.router.routes.extend(Path(path, console) for path in ("/", "/console/{path:path}"))
    app.add_exception_handler(errors.FairleadError, _problem)
    app.add_exception_handler(HTTPException, _http_problem)
    # Last, because it matches any path: a request for an explanation has the path of the prediction.
    app.include_router(_explanations(store))
    return app


def _gateway_paths(store: ApiStore, loop: LoopHealth) -> APIRouter:
    router = APIRouter()

    @router.get("/models")
    def models(request: Request) -> dict[str, Any]:
        """Every model with the versions that serve it now; through a gateway, those that the client may call."""
        silent = _silent_s(loop)
        old = {"stale": f"the control plane has not turned for {silent:.0f} s"} if silent > STALE_AFTER_S else {}
        models = [*(_summary(store, route) for route in store.routes()), *_unreadable_summaries(store)]
        return {"models": [one for one in models if may_see(request, one["name"])], **old}

    @router.get("/v2")
    def server_metadata() -> dict[str, Any]:
        """The Open Inference Protocol's server metadata."""
        return {"name": "fairlead", "version": __version__, "extensions": list(EXTENSIONS)}

    return router


def _api(store: ApiStore) -> APIRouter:
    router = APIRouter()

    @router.get("/routes")
    def routes() -> dict[str, Any]:
        """Every route: spec, last revision and status. `unreadable` has those whose spec cannot be read."""
        return {
            "routes": [_document(store, route) for route in store.routes()],
            "unreadable": [{**one.to_json(), "status": store.status(one.name)} for one in store.unreadable_routes()],
        }

    @router.get("/routes/{name}")
    def route(name: str) -> dict[str, Any]:
        """One route."""
        return _document(store, store.route(name))

    @router.get("/routes/{name}/revisions")
    def revisions(
        name: str, limit: Annotated[int, Query(ge=1, le=1000)] = 50, at: datetime | None = None
    ) -> dict[str, Any]:
        """The ledger: the newest `limit` revisions, ascending, or the one in force at a time."""
        found = [store.at(name, as_query_time(at))] if at else store.revisions(name, limit=limit)
        checkpoint = store.checkpoint(name)
        return {
            "revisions": [revision.to_json() for revision in found],
            "checkpoint": checkpoint.to_json() if checkpoint else None,
        }

    return router


def _metrics(metrics: Metrics) -> APIRouter:
    router = APIRouter()

    @router.get("/metrics", include_in_schema=False)
    def read() -> Response:
        """The metrics in Prometheus' text format. Runs on a worker thread, because the store may be slow."""
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    return router


def _silent_s(loop: LoopHealth) -> float:
    """Seconds since the loop's last successful turn; 0 before the first."""
    return time.monotonic() - loop.beat if loop.beat else 0.0


def _health_checks(loop: LoopHealth, unready: Callable[[], str]) -> APIRouter:
    router = APIRouter()

    @router.get("/livez")
    def livez() -> Response:
        """503 when the loop is stuck."""
        if (silent := _silent_s(loop)) > SILENT_AFTER_S:
            raise errors.Unavailable(f"the loop has not turned for {silent:.0f} s")
        return JSONResponse({"live": True})

    @router.get("/readyz")
    def readyz() -> Response:
        """503 until the store was read and published once."""
        if not loop.beat:
            raise errors.NotReady("the first configuration is not published yet")
        if reason := unready():
            raise errors.NotReady(reason)
        return JSONResponse({"ready": True})

    return router


def _explanations(store: ApiStore) -> APIRouter:
    router = APIRouter()

    @router.api_route("/{path:path}", methods=["GET", "POST"], include_in_schema=False)
    def explanation(path: str, request: Request) -> dict[str, Any]:
        if not _asks_to_explain(request):
            _require_no_other_method(request)
            raise errors.NotFound(f"there is no path /{path}", hint="the API is described at /api/docs")
        return explain_request(store, request)

    return router


def _asks_to_explain(request: Request) -> bool:
    return request.headers.get("x-route-explain") == "1"


def _require_no_other_method(request: Request) -> None:
    """Raises the 405 of a path that exists with another method: the route of explanations hides it."""
    if allowed := _METHODS.get(request.url.path):
        raise HTTPException(405, headers={"allow": allowed})


def explain_request(store: ApiStore, request: Request) -> dict[str, Any]:
    """Which version this request would get without `x-route-explain`. Raises NotFound when the path names no model."""
    headers = [(name.decode("latin-1"), value) for name, value in request.headers.raw]
    model = model_in(request.url.path)
    names = [route.name for route in store.routes() if route.spec.model == model]
    for name in [*names, *(one.name for one in store.unreadable_routes())]:
        head = store.head(name)
        if head is None or head.table.model != model:
            continue
        explanation = explain(Routed(name, head.seq, head.table), request.url.path, headers, method=request.method)
        if explanation is not None:
            return to_json(explanation)
    raise errors.NotFound(f"no model serves {request.url.path}")


def _document(store: ApiStore, route: Route) -> dict[str, Any]:
    head, status = store.head(route.name), read_status(store, route.name)
    return {
        "route": route.to_json(),
        "head": head.to_json() if head else None,
        "status": status.to_json() if status else None,
        "health": health_of(status).to_json(),
    }


def _summary(store: ApiStore, route: Route) -> dict[str, Any]:
    head, health = store.head(route.name), health_of(read_status(store, route.name))
    summary: dict[str, Any] = {"name": route.spec.model, "versions": sorted(route.spec.versions)}
    if head is None:
        return {**summary, "ready": False, **_health(health)}
    return {**summary, **_serving(head, health)}


def _unreadable_summaries(store: ApiStore) -> Iterator[dict[str, Any]]:
    """Models that serve although the spec of their route cannot be read."""
    for one in store.unreadable_routes():
        head = store.head(one.name)
        if head is not None:
            versions = sorted({ref.version for ref in head.table.pins})
            health = health_of(read_status(store, one.name))
            yield {"name": head.table.model, "versions": versions, **_serving(head, health)}


def _serving(head: Revision, health: Health) -> dict[str, Any]:
    table = head.table
    weights = {str(table.stable): 10_000 - table.weight}
    if table.candidate is not None:
        weights[str(table.candidate)] = table.weight
    serves = {"ready": health.serves, "revision": head.id, "phase": head.state.phase.value, "weights": weights}
    return {**serves, **_health(health)}


def _health(health: Health) -> dict[str, Any]:
    """The words for people who read `/models`. The command is for the operator, so it is left out."""
    since = {"since": health.since.isoformat()} if health.since is not None and not health.serves else {}
    return {"health": health.mark.value, **({"reason": health.reason} if health.reason else {}), **since}


def _problem(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 503)
    return _problem_document(request, status, type(error).__name__, str(error))


def _http_problem(request: Request, error: Exception) -> Response:
    """What FastAPI itself refuses, such as a method that a path does not have."""
    assert isinstance(error, HTTPException)
    allowed = (error.headers or {}).get("allow") or (error.headers or {}).get("Allow")
    detail = f"{request.url.path} has no {request.method}; it has: {allowed}" if allowed else str(error.detail)
    answer = _problem_document(request, error.status_code, HTTPStatus(error.status_code).phrase, detail)
    answer.headers.update(error.headers or {})
    return answer


def _problem_document(request: Request, status: int, title: str, detail: str) -> Response:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    body["error"] = detail  # where clients of the Open Inference Protocol look
    if request_id := request.headers.get("x-request-id"):
        body["request_id"] = request_id
    return JSONResponse(body, status_code=status, media_type=_media_type(request.url.path))


def _media_type(path: str) -> str:
    """Clients of the KServe protocols read errors of this type only; the gateway's own have it too."""
    return "application/json" if path.startswith(("/v1/", "/v2/")) or path == "/v2" else "application/problem+json"
