"""`GET /answers`: what was kept of answers, a page at a time, for the control plane. The gateway has no way here."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Response

from fairlead.contracts.answers import PATH
from fairlead.serving.observe.answers import AnswerRecords


def router(recorded: AnswerRecords) -> APIRouter:
    """The one route. A page is data already, and is written without a second look at it."""
    routes = APIRouter()

    @routes.get(PATH, include_in_schema=False)
    async def answers(
        epoch: Annotated[str, Query(max_length=64)] = "", after: Annotated[int, Query(ge=0)] = 0
    ) -> Response:
        return Response(orjson.dumps(dict(recorded.page(epoch, after))), media_type="application/json")

    return routes
