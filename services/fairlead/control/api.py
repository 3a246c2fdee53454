"""The control plane's HTTP API on loopback: what there is, what was, and which version a request would get.

It reads; it writes nothing. Wishes and actions go into the store, by commands and with their actor's name. The gateway
forwards `/models`, `/v2` and whatever carries `x-route-explain: 1` to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response

from fairlead import __version__, errors
from fairlead.contracts.base import asked_about
from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Checkpoint, Revision
from fairlead.contracts.route import Route
from fairlead.control.metrics import CONTENT_TYPE, Metrics
from fairlead.rollout.policy.replicas import replicas
from fairlead.routing.explain import explain, to_json
from fairlead.routing.rules import model_in
from fairlead.routing.snapshot import Routed

SILENT_AFTER_S = 30.0
"""A loop that has not turned for so long is stuck: the process should be started again."""
_STATUS = {errors.NotFound: 404, errors.Invalid: 400, errors.Conflict: 409, errors.Refused: 403}


class Reading(Protocol):
    """What the API reads of the store."""

    def routes(self) -> list[Route]: ...  # noqa: D102
    def route(self, name: str) -> Route: ...  # noqa: D102
    def head(self, route: str) -> Revision | None: ...  # noqa: D102
    def revisions(self, route: str, *, limit: int | None = None) -> list[Revision]: ...  # noqa: D102
    def at(self, route: str, moment: datetime) -> Revision: ...  # noqa: D102
    def checkpoint(self, route: str) -> Checkpoint | None: ...  # noqa: D102
    def status(self, route: str) -> dict[str, object] | None: ...  # noqa: D102
    def instances(self) -> list[Instance]: ...  # noqa: D102


class Beating(Protocol):
    """The loop, as the health check sees it."""

    beat: float


def build_api(
    store: Reading, loop: Beating, *, metrics: Metrics | None = None, unready: Callable[[], str] = lambda: ""
) -> FastAPI:
    """The application; every path is answered from the store, so any replica may answer it.

    `unready` is one more reason not to be asked; empty when there is none.
    """
    app = FastAPI(
        title="Fairlead control plane", version=__version__, docs_url="/api/docs", openapi_url="/api/openapi.json"
    )
    app.include_router(_gateway_paths(store))
    app.include_router(_api(store), prefix="/api/v1")
    app.include_router(_health(loop, unready))
    if metrics is not None:
        app.include_router(_metrics(metrics))
    app.add_exception_handler(errors.FairleadError, _problem)
    # Last, because it takes any path: a request that asks for an explanation names the path it would take.
    app.include_router(_explanations(store))
    return app


def _gateway_paths(store: Reading) -> APIRouter:
    router = APIRouter()

    @router.get("/models")
    def models() -> dict[str, Any]:
        """Every model with what serves it now."""
        return {"models": [_summary(store, route) for route in store.routes()]}

    @router.get("/v2")
    def server_metadata() -> dict[str, Any]:
        """The Open Inference Protocol's server metadata."""
        return {"name": "fairlead", "version": __version__, "extensions": []}

    return router


def _api(store: Reading) -> APIRouter:
    router = APIRouter()

    @router.get("/routes")
    def routes() -> dict[str, Any]:
        """Every route: wish, last revision and status."""
        return {"routes": [_document(store, route) for route in store.routes()]}

    @router.get("/routes/{name}")
    def route(name: str) -> dict[str, Any]:
        """One route."""
        return _document(store, store.route(name))

    @router.get("/wanted/{model}/{version}")
    def wanted(model: str, version: str) -> dict[str, Any]:
        """How many replicas a version should have at least, for an autoscaler; `version` is its name or identity."""
        return _wanted(store, model, version)

    @router.get("/routes/{name}/revisions")
    def revisions(
        name: str, limit: Annotated[int, Query(ge=1, le=1000)] = 50, at: datetime | None = None
    ) -> dict[str, Any]:
        """The ledger: the newest `limit` revisions, ascending, or the one in force at a time."""
        found = [store.at(name, asked_about(at))] if at else store.revisions(name, limit=limit)
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
        """What Prometheus reads. A worker thread answers: the store may take a moment."""
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    return router


def _health(loop: Beating, unready: Callable[[], str]) -> APIRouter:
    router = APIRouter()

    @router.get("/livez")
    def livez() -> Response:
        """503 when the loop stands still."""
        silent = time.monotonic() - loop.beat
        if loop.beat and silent > SILENT_AFTER_S:
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


def _explanations(store: Reading) -> APIRouter:
    router = APIRouter()

    @router.api_route("/{path:path}", methods=["GET", "POST"], include_in_schema=False)
    def explanation(path: str, request: Request) -> dict[str, Any]:
        if request.headers.get("x-route-explain") != "1":
            raise errors.NotFound(f"there is no /{path}", hint="the API is described at /api/docs")
        return explain_request(store, request)

    return router


def explain_request(store: Reading, request: Request) -> dict[str, Any]:
    """Which version this very request would get, had it not asked. Raises NotFound for a path of no model."""
    headers = [(name.decode("latin-1"), value) for name, value in request.headers.raw]
    model = model_in(request.url.path)
    for route in store.routes():
        head = store.head(route.name) if route.spec.model == model else None
        if head is None:
            continue
        told = explain(Routed(route.name, head.seq, head.table), request.url.path, headers, method=request.method)
        if told is not None:
            return to_json(told)
    raise errors.NotFound(f"no model serves {request.url.path}")


def _document(store: Reading, route: Route) -> dict[str, Any]:
    head = store.head(route.name)
    return {"route": route.to_json(), "head": head.to_json() if head else None, "status": store.status(route.name)}


def _wanted(store: Reading, model: str, version: str) -> dict[str, Any]:
    found = [
        one
        for route in store.routes()
        if route.spec.model == model
        for one in replicas(route, store.head(route.name), store.instances(), datetime.now(UTC))
        if version in (one.ref.version, one.ref.identity)
    ]
    if not found:
        raise errors.NotFound(f"model {model!r} has no version {version!r}")
    # Two images under one version name: whoever asks by name gets what is enough for either.
    most = max(found, key=lambda one: one.count)
    return {"model": model, **most.ref.to_json(), "wanted": most.count, "reason": most.reason}


def _summary(store: Reading, route: Route) -> dict[str, Any]:
    head = store.head(route.name)
    summary: dict[str, Any] = {"name": route.spec.model, "versions": sorted(route.spec.versions)}
    if head is None:
        return {**summary, "ready": False}
    table = head.table
    weights = {str(table.stable): 10_000 - table.weight}
    if table.candidate is not None:
        weights[str(table.candidate)] = table.weight
    return {**summary, "ready": True, "revision": head.id, "phase": head.state.phase.value, "weights": weights}


def _problem(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 503)
    body = {"type": "about:blank", "title": type(error).__name__, "status": status, "detail": str(error)}
    if request_id := request.headers.get("x-request-id"):
        body["request_id"] = request_id
    return JSONResponse(body, status_code=status, media_type="application/problem+json")
