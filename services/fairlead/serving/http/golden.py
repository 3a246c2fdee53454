"""`GET /golden`: returns the golden rows of the model folder.

The control plane's smoke test reads them here, because in a cluster it has no model folder. `helm test` reads them too.
The docs page shows golden rows as examples, so they are not confidential.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter

from fairlead.serving.inference.warmup import Golden

MAX_ROWS = 100
"""Maximum number of rows returned. A smoke test needs only a few."""


def router(golden: Sequence[Golden], rtol: float) -> APIRouter:
    """A router with the one route. `rtol` is the relative tolerance for floats of an answer."""
    routes = APIRouter()
    document = {"rows": [{"input": row.input, "expected": row.expected} for row in golden[:MAX_ROWS]], "rtol": rtol}

    @routes.get("/golden", tags=["operations"], summary="Inputs with the answers that this version must give")
    async def golden_rows() -> dict[str, Any]:
        return document

    return routes
