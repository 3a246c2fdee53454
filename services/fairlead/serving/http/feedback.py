"""`POST /feedback`: clients send the truth of earlier predictions."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import orjson
from fastapi import APIRouter, Response
from pydantic import ValidationError

from fairlead import errors
from fairlead.serving import problems
from fairlead.serving.http import api, encodings, exchange
from fairlead.serving.http import body as bodies
from fairlead.serving.observe.feedback import BAD, MAX_LABELS, OUTCOMES, Feedback, Label, Labels

PATH = "/feedback"
MAX_BYTES = 1024 * 1024
LINGER_S = 1.0
"""Seconds that a client may go on sending a body that was refused."""
SLICE = 100
"""How many labels are counted at once, before others get the event loop."""


class Endpoint:
    """Answers the requests: how many labels had which outcome."""

    def __init__(self, feedback: Feedback, max_body_bytes: int, receiving: bodies.Receiving) -> None:
        self._feedback = feedback
        self._limit = min(MAX_BYTES, max_body_bytes)
        self._receiving = receiving

    async def __call__(self, scope: exchange.Scope, receive: exchange.Receive, send: exchange.Send) -> None:
        """Answer one POST. Every error becomes a problem document."""
        request: exchange.Exchange = scope[exchange.KEY]
        try:
            bodies.check_head(request, self._limit)
            body = await bodies.read(receive, self._limit, self._receiving)
            found = await self._counted(encodings.decoded(body, request.content_encoding, self._limit))
        except bodies.ClientDisconnected:
            return
        except (problems.BodyTooLarge, problems.TooMuchArriving) as error:
            await request.send_problem(error, send, more_body=True)
            await bodies.discard(receive, LINGER_S)
            await send({"type": "http.response.body", "body": b""})
        except Exception as error:
            await request.send_problem(error, send)
        else:
            await request.send_answer(orjson.dumps({one: found[one] for one in OUTCOMES if one != BAD}), send)

    async def _counted(self, body: bytes) -> Counter[str]:
        try:
            labels = Labels.model_validate_json(body).feedback
        except ValidationError as cause:
            found = cause.errors(include_url=False, include_context=False, include_input=False)
            details = [errors.Detail(("body", *one["loc"]), one["msg"], one["type"]) for one in found]
            self._feedback.count_bad(len({one.loc[:3] for one in details}))
            raise errors.Invalid("the labels are not valid, so none was counted", details=details) from cause
        checked = self._feedback.check(labels)
        outcomes: Counter[str] = Counter()
        for start in range(0, len(checked), SLICE):
            outcomes += self._feedback.count(checked[start : start + SLICE])
            await asyncio.sleep(0)
        return outcomes


def router(feedback: Feedback | None, max_body_bytes: int, receiving: bodies.Receiving) -> APIRouter:
    """A router with the one route. Without feedback it says how to have it."""
    routes = APIRouter()
    if feedback is None:

        @routes.post(PATH, include_in_schema=False)
        async def refuse() -> None:
            raise errors.NotFound(
                "this service takes no feedback",
                hint="Start it with memory for the keys of labels: FAIRLEAD_SERVING_FEEDBACK_BYTES=8388608.",
            )

        return routes
    endpoint = Endpoint(feedback, max_body_bytes, receiving)

    async def take() -> Response:
        return api.DelegatedResponse(endpoint)

    routes.add_api_route(
        PATH,
        take,
        methods=["POST"],
        tags=["feedback"],
        summary="The truth of earlier predictions",
        response_model=None,
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": _request()}}}},
        responses={
            200: {"description": "How many labels were counted, late, double, and of unknown versions."},
            **problems.described({413: "The body is too large.", 422: "A label is not valid; `errors` says where."}),
        },
    )
    return routes


def _request() -> dict[str, Any]:
    items = {**Label.model_json_schema(), "title": "Label"}
    labels = {"type": "array", "minItems": 1, "maxItems": MAX_LABELS, "items": items}
    return {"type": "object", "required": ["feedback"], "properties": {"feedback": labels}}
