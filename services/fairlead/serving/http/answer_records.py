"""`GET /answers`: returns answer records in pages to the control plane. The gateway does not route this path."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Response

from fairlead.contracts.answers import PATH
from fairlead.serving.observe.answers import AnswerRecords


def router(recorded: AnswerRecords) -> APIRouter:
    """A router with the one route. The page is encoded without validation: it consists of plain data."""
    routes = APIRouter()

    @routes.get(PATH, include_in_schema=False)
    async def answers(
        epoch: Annotated[str, Query(max_length=64)] = "",
        after: Annotated[int, Query(ge=0)] = 0,
        problems: bool = False,
    ) -> Response:
        page = dict(recorded.page(epoch, after))
        if not problems:
            del page["problems"]
        return Response(orjson.dumps(page), media_type="application/json")

    return routes
