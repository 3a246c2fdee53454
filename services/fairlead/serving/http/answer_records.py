"""`GET /answers`: returns answer records in pages to the control plane. The gateway does not route this path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Response

from fairlead.contracts.answers import PATH
from fairlead.contracts.service_totals import Totals
from fairlead.serving.observe.answers import AnswerRecords


def router(recorded: AnswerRecords, count: Callable[[], Totals]) -> APIRouter:
    """A router with the one route. `count` reads what the service has counted for gates.

    The page is encoded without validation: it consists of plain data.
    """
    routes = APIRouter()

    @routes.get(PATH, include_in_schema=False)
    async def answers(
        epoch: Annotated[str, Query(max_length=64)] = "",
        after: Annotated[int, Query(ge=0)] = 0,
        problems: bool = False,
        totals: bool = False,
    ) -> Response:
        page = dict(recorded.page(epoch, after))
        del page["totals"]
        if not problems:
            del page["problems"]
        if totals:
            page["totals"] = count().to_json()
        return Response(orjson.dumps(page), media_type="application/json")

    return routes
