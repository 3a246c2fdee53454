"""A real gateway holds requests for a cold version, for longer than a request may otherwise take to arrive."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from fairlead.control.holds import elsewhere
from fairlead.routing.envoy.holding import RETRY_AFTER_S
from fairlead.routing.snapshot import Endpoint
from integration.routing.backends import Backends
from integration.routing.edge import V1, an_edge, iris, serving
from integration.routing.replicas import serving as serving_app
from support.processes import free_ports

RECEIVE_S, HELD_S = 1.0, 2.5
BODY = b'{"value": 1}'


async def slow_control(scope: Scope, receive: Receive, send: Send) -> None:
    """Lets every request go after a while."""
    await asyncio.sleep(HELD_S)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


def status_of(folder: Path, backends: Backends, wait_s: float) -> int:
    """The answer to a request that is held, where requests may wait so long."""
    with serving_app(slow_control) as control:
        at = Endpoint("127.0.0.1", control)
        with an_edge(folder, control=at, holds=True, receive_timeout_s=RECEIVE_S, longest_wait_s=wait_s) as edge:
            edge.endpoints["default", "iris", V1] = [backends.start("1.0.0").endpoint]
            with serving(edge, iris(1, 0, candidate=None, pins=(V1,), cold=(V1,))), edge.client() as client:
                return client.post("/models/iris/predict", content=BODY).status_code


def test_a_request_may_wait_longer_than_one_may_take_to_arrive(tmp_path: Path, backends: Backends) -> None:
    """Envoy counts the wait of a request as time in which it arrives, also of one that has arrived whole."""
    assert status_of(tmp_path, backends, wait_s=5.0) == 200


def test_a_request_that_nobody_lets_go_is_told_that_the_version_is_cold(tmp_path: Path, backends: Backends) -> None:
    assert status_of(tmp_path, backends, wait_s=0.5) == 503


@pytest.mark.parametrize("control", [None, elsewhere], ids=["no control plane", "no leader"])
def test_while_nobody_leads_a_request_is_given_up_before_its_time_is_over(
    tmp_path: Path, backends: Backends, control: ASGIApp | None
) -> None:
    """Over it, the gateway answers 408, which says nothing about the model."""
    with ExitStack() as stack:
        port = stack.enter_context(serving_app(control)) if control is not None else free_ports(1)[0]
        at = Endpoint("127.0.0.1", port)
        edge = stack.enter_context(
            an_edge(tmp_path, control=at, holds=True, receive_timeout_s=RECEIVE_S, longest_wait_s=0.5)
        )
        edge.endpoints["default", "iris", V1] = [backends.start("1.0.0").endpoint]
        stack.enter_context(serving(edge, iris(1, 0, candidate=None, pins=(V1,), cold=(V1,))))
        answer = stack.enter_context(edge.client()).post("/models/iris/predict", content=BODY)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, str(RETRY_AFTER_S))
    assert answer.json()["code"] == "cold"
    assert "no control plane that leads answers in time" in answer.json()["detail"]
