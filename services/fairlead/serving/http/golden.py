"""`GET /golden`: the golden rows as they were shipped, for whoever wants to see this version answer them.

The control plane's smoke test reads them here, because in a cluster it has no model folder; `helm test` does too.
They are the examples of the docs page already, so they tell nobody anything new.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter

from fairlead.serving.inference.warmup import Golden

MAX_ROWS = 100
"""Rows told at most: a smoke test asks a few, and nobody reads more."""


def router(golden: Sequence[Golden], rtol: float) -> APIRouter:
    """The one route; `rtol` is how far floats of an answer may be off."""
    routes = APIRouter()
    document = {"rows": [{"input": row.input, "expected": row.expected} for row in golden[:MAX_ROWS]], "rtol": rtol}

    @routes.get("/golden", tags=["operations"], summary="Inputs with the answers that this version must give")
    async def golden_rows() -> dict[str, Any]:
        return document

    return routes
