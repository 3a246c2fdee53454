"""The metrics of drift and of feedback, on a path of their own: they have more series than all others and are scraped
less often."""

from __future__ import annotations

from fastapi import APIRouter, Response

from fairlead.contracts.drift_telemetry import DRIFT_PATH
from fairlead.serving.http.health import OPERATIONS
from fairlead.serving.observe.drift import Drift
from fairlead.serving.observe.feedback import Feedback
from fairlead.serving.observe.metrics import CONTENT_TYPE


def router(drift: Drift, feedback: Feedback | None) -> APIRouter:
    """A router with the one path."""
    routes = APIRouter()
    text = {"description": "The metrics.", "content": {CONTENT_TYPE: {"schema": {"type": "string"}}}}

    @routes.get(
        DRIFT_PATH,
        tags=[OPERATIONS],
        summary="Prometheus metrics of drift: counts of rows in the bins of the profile; and of feedback, if it is on",
        response_class=Response,
        responses={200: text},
    )
    async def drift_text() -> Response:
        text = await drift.text() + (feedback.text() if feedback else b"")
        return Response(text, media_type=CONTENT_TYPE)

    return routes
