"""The docs page and the OpenAPI document, at the service's own address and under the gateway's prefix.

Every URL on the page is relative, and this process serves every asset, so the page works under `/models/{m}/docs` and
without internet access.
"""

from __future__ import annotations

import html
import importlib.util
import re
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response

from fairlead import errors
from fairlead.serving.http import api, openapi30
from fairlead.serving.http.health import OPERATIONS

ASSETS = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
_prefix = re.compile(r"(?:/[A-Za-z0-9][A-Za-z0-9._~-]*){1,8}").fullmatch

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" href="docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "docs/openapi.json", dom_id: "#swagger-ui", deepLinking: true, tryItOutEnabled: true,
  presets: [SwaggerUIBundle.presets.apis], validatorUrl: null,
});
"""
_POLICY = {"content-security-policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"}


def router(documented: api.ModelApi) -> APIRouter:
    """A router with /openapi.json, /docs, and the files that the page loads."""
    routes = APIRouter(include_in_schema=False)
    folder = assets()

    @routes.get("/openapi.json")
    async def document(request: Request) -> JSONResponse:
        return JSONResponse(below(documented.openapi(), prefix(request)))

    @routes.get("/docs")
    async def page() -> HTMLResponse:
        if folder is None:
            raise errors.NotFound(
                "the docs page is not installed here", hint="in a clone of Fairlead: pip install -e '.[docs]'"
            )
        return HTMLResponse(_PAGE.format(title=html.escape(documented.title)), headers=_POLICY)

    @routes.get("/docs/")
    async def page_with_slash() -> Response:
        return RedirectResponse("../docs")

    @routes.get("/docs/openapi.json")
    async def document_for_page(request: Request) -> JSONResponse:
        return JSONResponse(openapi30.downgraded(below(documented.openapi(), prefix(request))))

    @routes.get("/docs/start.js")
    async def start() -> Response:
        return Response(_START, media_type="text/javascript")

    @routes.get("/docs/{asset}")
    async def asset(asset: str) -> FileResponse:
        if folder is None or asset not in ASSETS:
            raise errors.NotFound(f"the docs page has no file {asset[:100]!r}")
        return FileResponse(folder / asset, headers={"cache-control": "public, max-age=86400"})

    return routes


def assets() -> Path | None:
    """The folder with Swagger UI's files, from the package swagger-ui-bundle. None if it is not installed."""
    found = importlib.util.find_spec("swagger_ui_bundle")
    if found is None or found.origin is None:
        return None
    return next(iter(sorted(Path(found.origin).parent.glob("vendor/swagger-ui-*"), reverse=True)), None)


def prefix(request: Request) -> str:
    """The path prefix that the gateway sends. Ignored unless it is a plain path, because it is used in links."""
    given = request.headers.get("x-forwarded-prefix", "").rstrip("/")
    return given if _prefix(given) else ""


def below(document: dict[str, Any], prefix: str) -> dict[str, Any]:
    """The document as clients of the gateway see it. The gateway maps `{prefix}/predict`, and /v1 and /v2 at its root.

    Health and metrics are left out, because the gateway does not route them.
    """
    if not prefix:
        return document
    paths = {}
    for path, operations in document["paths"].items():
        if any(OPERATIONS in operation.get("tags", ()) for operation in operations.values()):
            continue
        at_root = path.startswith(("/v1/", "/v2"))
        paths[path] = {"servers": [{"url": "/"}], **operations} if at_root else operations
    return {**document, "servers": [{"url": prefix}], "paths": paths}
