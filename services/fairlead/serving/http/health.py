"""Health probes, metrics, and the model metadata of the V1 and V2 protocols."""

from __future__ import annotations

from enum import Enum
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

import fairlead
from fairlead import errors
from fairlead.contracts.gateway import EXTENSIONS, READY_PATH, SERVICE_HEADER
from fairlead.contracts.manifest import Manifest
from fairlead.serving import problems
from fairlead.serving.inference.lifecycle import Lifecycle
from fairlead.serving.observe import metrics
from fairlead.serving.open_inference import interface

OPERATIONS = "operations"
_NOT_READY = problems.described({503: "Loading, warming up, hanging, failed or draining; `detail` says which."})


def router(
    manifest: Manifest,
    state: Lifecycle,
    protocol: interface.OpenInference,
    meter: metrics.Metrics,
    service: str | None,
) -> APIRouter:
    """A router with health, metrics and metadata. `service` is the name of its Service in a cluster, or None."""
    routes = APIRouter()
    _probes(routes, state, service)
    _version_1(routes, manifest, state)
    _version_2(routes, manifest, state, protocol, meter)
    _other_versions(routes, manifest)
    text = {"description": "The metrics.", "content": {metrics.CONTENT_TYPE: {"schema": {"type": "string"}}}}

    @routes.get(
        "/metrics",
        tags=[OPERATIONS],
        summary="Prometheus metrics",
        response_class=Response,
        responses={200: text},
    )
    async def metrics_text() -> Response:
        return Response(meter.text(), media_type=metrics.CONTENT_TYPE)

    return routes


def _probes(routes: APIRouter, state: Lifecycle, service: str | None) -> None:
    @routes.get(
        "/livez",
        tags=[OPERATIONS],
        summary="Whether the event loop runs, and no call of the model hangs",
        responses=problems.described({503: "A call of the model exceeds its time limit; `detail` names it."}),
    )
    async def livez() -> dict[str, str]:
        state.check_alive()
        return {"status": "alive"}

    @routes.get("/startupz", tags=[OPERATIONS], summary="Whether loading has finished", responses=_NOT_READY)
    async def startupz() -> dict[str, str]:
        state.check_started()
        return {"status": "started"}

    @routes.get(
        READY_PATH,
        tags=[OPERATIONS],
        summary="Loaded, warmed up on the golden rows, and not draining",
        responses={**_NOT_READY, **problems.described({421: "The request names another Service."})},
    )
    async def readyz(request: Request) -> dict[str, str]:
        name = request.headers.get(SERVICE_HEADER, "")
        if service and name and not f"{name}.".startswith(f"{service}."):
            raise errors.Misdirected(f"this is {service}, not {name[:200]}")
        state.check_ready()
        return {"status": "ready"}


def _version_1(routes: APIRouter, manifest: Manifest, state: Lifecycle) -> None:
    @routes.get("/", tags=["v1"], summary="Whether the server is alive")
    async def alive() -> dict[str, Any]:
        return {"status": "alive"}

    @routes.get(f"/v1/models/{manifest.name}", tags=["v1"], summary="Whether the model is ready")
    async def model_status() -> dict[str, Any]:
        return {"name": manifest.name, "ready": state.is_ready}


def _version_2(
    routes: APIRouter,
    manifest: Manifest,
    state: Lifecycle,
    protocol: interface.OpenInference,
    meter: metrics.Metrics,
) -> None:
    tags: list[str | Enum] = ["v2"]
    base = f"/v2/models/{manifest.name}"
    versioned = f"{base}/versions/{manifest.version}"
    name, version = manifest.name, manifest.version

    @routes.get("/v2", tags=tags, summary="The server")
    async def server() -> dict[str, Any]:
        return {"name": "fairlead", "version": fairlead.__version__, "extensions": list(EXTENSIONS)}

    @routes.get("/v2/health/live", tags=tags, summary="Whether the server is alive", responses=_NOT_READY)
    async def live() -> dict[str, Any]:
        state.check_alive()
        return {"live": True}

    @routes.get("/v2/health/ready", tags=tags, summary="Whether the server is ready", responses=_NOT_READY)
    async def ready() -> dict[str, Any]:
        state.check_ready()
        return {"ready": True}

    @routes.get(f"{versioned}/ready", tags=tags, summary="Whether this version is ready", responses=_NOT_READY)
    @routes.get(f"{base}/ready", tags=tags, summary="Whether the model is ready", responses=_NOT_READY)
    async def model_ready() -> dict[str, Any]:
        state.check_ready()
        return {"name": name, "ready": True}

    @routes.get(versioned, tags=tags, summary="Inputs and outputs of this version")
    @routes.get(base, tags=tags, summary="Inputs and outputs")
    async def metadata() -> JSONResponse:
        return JSONResponse(protocol.metadata())

    @routes.get(f"{versioned}/config", tags=tags, summary="Inputs and outputs of this version, in Triton's form")
    @routes.get(f"{base}/config", tags=tags, summary="Inputs and outputs, in Triton's form")
    async def config() -> dict[str, Any]:
        return protocol.config()

    @routes.get("/v2/models/stats", tags=tags, summary="Counts and durations of this process, in Triton's form")
    @routes.get(f"{versioned}/stats", tags=tags, summary="Counts and durations of this version, in Triton's form")
    @routes.get(f"{base}/stats", tags=tags, summary="Counts and durations, in Triton's form")
    async def stats() -> dict[str, Any]:
        return {"model_stats": [{"name": name, "version": version, **interface.statistics(meter.totals())}]}

    @routes.post("/v2/repository/index", tags=tags, summary="The one model of this service, in Triton's form")
    async def index() -> list[dict[str, Any]]:
        state_now = interface.REPOSITORY_STATES[state.phase]
        return [
            {"name": name, "version": version, "state": state_now, "reason": "" if state.is_ready else state.reason}
        ]


def _other_versions(routes: APIRouter, manifest: Manifest) -> None:
    """One more route, to be added last: it gets every model and version that is not served here."""
    name, version = manifest.name, manifest.version

    class OtherVersion(APIRoute):
        """Leaves the paths of the served version to its own routes: one with another method is then a 405."""

        def matches(self, scope: Scope) -> tuple[Match, Scope]:
            match, found = super().matches(scope)
            asked = found.get("path_params", {})
            is_served = (asked.get("model"), asked.get("asked")) == (name, version)
            return (Match.NONE, {}) if is_served else (match, found)

    async def elsewhere(model: str, asked: str, rest: str) -> None:
        raise errors.NotFound(f"model {model!r} version {asked!r} is not served here: this is {name!r} {version!r}")

    routes.add_api_route(
        "/v2/models/{model}/versions/{asked}{rest:path}",
        elsewhere,
        methods=["GET", "POST"],
        include_in_schema=False,
        route_class_override=OtherVersion,
    )
