"""A request that the gateway had routed to another version is spill. While spill may take no time, it gets 503."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from fairlead import errors
from fairlead.serving.app import App
from support.small_models import ask, ask_fast_path, running

BODIES = {
    "/predict": b'{"x": 1.0}',
    "/v1/models/adder:predict": b'{"instances": [{"x": 1.0}]}',
    "/v2/models/adder/infer": b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}]}',
}
SPILLED = {"x-keep-answer": "record", "x-routed-version": "9.9.9"}


def refuse_all_spill(app: App) -> None:
    def check_spill() -> None:
        raise errors.SpillRefused("its time is used up", retry_after_s=7, hint="Send it again later.")

    app.plane.check_spill = check_spill  # type: ignore[method-assign]


def asked(path: str, body: bytes, headers: dict[str, str], *, fast: bool) -> Any:
    async def inside() -> Any:
        async with running() as app:
            refuse_all_spill(app)
            reply = await (ask_fast_path(app, path, body, headers) if fast else ask(app, "POST", path, body, headers))
            return reply, app.answers.page("", 0)

    return asyncio.run(inside())


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("path", BODIES)
def test_spill_is_refused_in_every_protocol_and_is_no_answer_of_the_model(path: str, fast: bool) -> None:
    reply, page = asked(path, BODIES[path], SPILLED, fast=fast)
    assert reply.status == 503
    assert (reply.headers["retry-after"], reply.headers["x-spill-refused"]) == ("7", "1")
    problem = json.loads(reply.body)
    assert problem["type"] == "urn:fairlead:problem:spill-refused"
    assert problem["detail"] == "its time is used up. Send it again later."
    assert page.answers == []


@pytest.mark.parametrize("fast", [True, False])
def test_a_refused_body_is_not_decoded(fast: bool) -> None:
    reply, _ = asked("/predict", b"not json", SPILLED, fast=fast)
    assert reply.status == 503


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-keep-answer": "count"},
        {"x-keep-answer": "count", "x-routed-version": "1.2.0"},
        {**SPILLED, "x-shadow-of": "adder"},
    ],
    ids=["no rollout", "stable's share", "the candidate's share, at the candidate", "a mirrored request"],
)
def test_other_requests_are_no_spill(headers: dict[str, str], fast: bool) -> None:
    reply, _ = asked("/predict", BODIES["/predict"], headers, fast=fast)
    assert reply.status == 200
