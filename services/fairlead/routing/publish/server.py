"""Envoy's discovery service over REST: a question is held until there is something newer than what its asker has.

A replica answers from its shelf alone. One that is behind what a gateway already has keeps the question and says
nothing; so does one whose answer was refused. Whoever asks again anywhere else gets the same answer under the same
version, because all replicas show what the leader kept (decision 0015).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fairlead.routing.envoy.proto import CLUSTER, LISTENER, ROUTES
from fairlead.routing.publish.nodes import Node, Nodes
from fairlead.routing.publish.publication import Shown
from fairlead.routing.publish.resource_sets import Kind, Order, order_of
from fairlead.routing.publish.snapshot_cache import Shelf

HOLD_S = 20.0
"""How long a question is held. Below Envoy's time limit for one (`sources.REQUEST_TIMEOUT_S`)."""
LOADING_S = 2.0
"""How long one is held before 503 while nothing is loaded: Envoy asks again at once."""
CROWDED_S = 1.0
"""How long one that asks too often is kept before it is told so."""
LARGEST_QUESTION = 1 << 20
"""Bytes. Envoy lists all its extensions in each: 80 KB."""
HELD_AT_MOST = 2048
_KINDS: Mapping[str, tuple[Kind, str]] = {
    "clusters": ("cds", CLUSTER),
    "listeners": ("lds", LISTENER),
    "routes": ("rds", ROUTES),
}
Count = Callable[[Kind, str], None]


@dataclass(frozen=True, slots=True)
class _Question:
    node: str
    has: Order
    empty: bool


def build_xds(
    shelf: Shelf,
    *,
    hold_s: float = HOLD_S,
    counted: Count = lambda kind, answer: None,
    monotonic: Callable[[], float] = time.monotonic,
) -> Starlette:
    """The application. `counted` is told of every question how it was answered."""
    service = _Service(shelf, hold_s, counted, monotonic)
    routes = [Route(f"/v3/discovery:{name}", service.endpoint(*of), methods=["POST"]) for name, of in _KINDS.items()]
    return Starlette(routes=routes)


class _Service:
    def __init__(self, shelf: Shelf, hold_s: float, counted: Count, monotonic: Callable[[], float]) -> None:
        self._shelf, self._hold_s, self._counted, self._monotonic = shelf, hold_s, counted, monotonic
        self._nodes = Nodes()
        self._held = 0

    def endpoint(self, kind: Kind, type_url: str) -> Callable[[Request], Any]:
        """The handler of one kind."""

        async def discover(request: Request) -> Response:
            try:
                question = _read(await _body(request))
            except _Unfit as unfit:
                self._counted(kind, unfit.answer)
                return _problem(unfit.status, str(unfit))
            except ClientDisconnect:
                return Response(status_code=499)
            answer, response = await self._answer(kind, type_url, question)
            self._counted(kind, answer)
            return response

        return discover

    async def _answer(self, kind: Kind, type_url: str, question: _Question) -> tuple[str, Response]:
        node = self._nodes.get(question.node)
        if self._held >= HELD_AT_MOST:
            return "crowded", _problem(503, "too many gateways ask this replica")
        self._held += 1
        try:
            if not node.may_ask(self._monotonic()):
                await self._shelf.wait(lambda: self._shelf.closed, CROWDED_S)
                return "crowded", _problem(429, f"{question.node} asks too often")
            return await self._hold(kind, type_url, question, node)
        finally:
            self._held -= 1

    async def _hold(self, kind: Kind, type_url: str, question: _Question, node: Node) -> tuple[str, Response]:
        turn = node.next_turn(kind)

        def fitting() -> Shown | None:
            shown = self._shelf.get(kind)
            if shown is None or shown.order <= question.has:
                return None
            return shown if node.may_get(kind, shown.version, self._monotonic(), empty=question.empty) else None

        def over() -> bool:
            return self._shelf.closed or node.turn[kind] != turn or fitting() is not None

        loading = not self._shelf.loaded
        # Spread out, so that gateways that began together do not ask together for ever.
        await self._shelf.wait(over, LOADING_S if loading else self._hold_s * random.uniform(0.75, 1.0))
        shown = fitting()
        if node.turn[kind] == turn and shown is not None and not self._shelf.closed:
            node.gets(kind, shown.version, self._monotonic())
            return "new", _discovery(shown, type_url)
        if not self._shelf.loaded:
            return "loading", _problem(503, "nothing is loaded yet")
        # A closed connection sends the next question to another replica.
        return "same", Response(status_code=304, headers={"connection": "close"} if self._shelf.closed else None)


class _Unfit(Exception):
    def __init__(self, status: int, answer: str, message: str) -> None:
        super().__init__(message)
        self.status, self.answer = status, answer


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST_QUESTION:
            raise _Unfit(413, "unfit", f"a question may have {LARGEST_QUESTION} bytes")
        parts.append(part)
    return b"".join(parts)


def _read(body: bytes) -> _Question:
    try:
        question = orjson.loads(body)
        node, version = question["node"]["id"], question.get("version_info", "")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise _Unfit(400, "unfit", "not a discovery request: it needs node.id") from None
    if not isinstance(node, str) or not 0 < len(node) <= 253 or not isinstance(version, str):
        raise _Unfit(400, "unfit", "node.id must be a name of at most 253 characters, version_info a text")
    return _Question(node, order_of(version), not version)


def _discovery(shown: Shown, type_url: str) -> Response:
    head = orjson.dumps({"version_info": shown.version, "type_url": type_url})[:-1]
    return Response(head + b',"resources":' + shown.resources + b"}", media_type="application/json")


def _problem(status: int, detail: str) -> Response:
    body = {"type": "about:blank", "title": "xDS", "status": status, "detail": detail}
    return JSONResponse(body, status_code=status, media_type="application/problem+json")
