"""`GET /golden`: returns the golden rows of the model folder, and the types of its rows and answers.

The control plane's smoke test reads them here, because in a cluster it has no model folder. `helm test` reads them too.
The docs page shows golden rows as examples, so they are not confidential.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from pydantic.errors import PydanticUserError

from fairlead.contracts.golden import Tolerance
from fairlead.serving.inference.warmup import Golden

MAX_ROWS = 100
"""Maximum number of rows returned. A smoke test needs only a few."""


def router(golden: Sequence[Golden], within: Tolerance, row: type[BaseModel], answer: type[BaseModel]) -> APIRouter:
    """A router with the one route. `within` is how far floats of an answer may differ."""
    routes = APIRouter()
    rows = [{"input": one.input, "expected": one.expected} for one in golden[:MAX_ROWS]]
    document: dict[str, Any] = {"rows": rows, "rtol": within.rtol, "atol": within.atol}
    with suppress(PydanticUserError):  # a type that no JSON schema describes can still be served
        document["types"] = {"row": row.model_json_schema(), "answer": answer.model_json_schema()}

    @routes.get(
        "/golden",
        tags=["operations"],
        summary="Inputs with the answers that this version must give, and the types of both",
    )
    async def golden_rows() -> dict[str, Any]:
        return document

    return routes
