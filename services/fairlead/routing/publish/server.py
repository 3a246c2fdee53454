"""Envoy's discovery service over REST (long polling): a request is held until there is a newer version than its own.

A replica answers from its snapshot cache alone. If the cache is older than what the gateway has, or the gateway
rejected the cached version, the replica holds the request until it times out. A gateway that asks another replica gets
the same resources under the same version, because all replicas serve what the leader stored (decision 0015).

Who asks names itself (`node.id`). In a cluster it proves that with its pod's token (`Tokens`, decision 0081). Without
tokens a gateway is its name at its address: another client with the same name neither ends its requests nor uses up its
rate. What every client gets is the tables, which hold no secret.
"""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fairlead.contracts.control_telemetry import XdsAnswer
from fairlead.routing.envoy.proto import CLUSTER, LISTENER, ROUTES
from fairlead.routing.envoy.sources import TOKEN_HEADER
from fairlead.routing.publish.callers import Callers, Tokens, Unanswered
from fairlead.routing.publish.polling_gateways import Node, Nodes
from fairlead.routing.publish.publication import EncodedUpdate
from fairlead.routing.publish.resource_sets import Kind, UpdateOrder, order_of
from fairlead.routing.publish.snapshot_cache import SnapshotCache

HOLD_S = 20.0
"""How long a request is held. Below Envoy's own timeout (`sources.REQUEST_TIMEOUT_S`)."""
LOADING_HOLD_S = 2.0
"""How long a request is held before 503 while nothing is loaded: Envoy retries at once."""
THROTTLE_HOLD_S = 1.0
"""How long a request above the rate limit is held before 429, and one that is refused before 401 or 403."""
MAX_REQUEST_BYTES = 1 << 20
"""Envoy lists all its extensions in each request: 80 KB."""
MAX_HELD = 2048
"""Requests held at the same time, over all gateways."""
MAX_HELD_OF_ONE = MAX_HELD // 4
"""Requests held at the same time from one address. A gateway holds three; a proxy may stand for many gateways."""
_KINDS: Mapping[str, tuple[Kind, str]] = {
    "clusters": ("cds", CLUSTER),
    "listeners": ("lds", LISTENER),
    "routes": ("rds", ROUTES),
}
Count = Callable[[Kind, str], None]
"""Is called for a request with the kind and how it was answered."""
_LOG = logging.getLogger("fairlead.control")


def kind_in(path: str) -> Kind | None:
    """Which kind a request of this path asks for; None if it is no request for tables."""
    name = path.removeprefix("/v3/discovery:")
    return _KINDS[name][0] if name != path and name in _KINDS else None


@dataclass(frozen=True, slots=True)
class _DiscoveryRequest:
    node: str
    has: UpdateOrder
    empty: bool
    """Whether it reports no version at all."""


def build_xds(
    cache: SnapshotCache,
    *,
    tokens: Tokens | None = None,
    hold_s: float = HOLD_S,
    on_answer: Count = lambda kind, answer: None,
    monotonic: Callable[[], float] = time.monotonic,
) -> Starlette:
    """The application. `on_answer` is called for every request with the kind and how it was answered.

    With `tokens`, a request must prove that it is of the gateway that it names.
    """
    service = _Service(cache, tokens, hold_s, on_answer, monotonic)
    routes = [Route(f"/v3/discovery:{name}", service.endpoint(*of), methods=["POST"]) for name, of in _KINDS.items()]
    return Starlette(routes=routes)


_Answer = tuple[XdsAnswer, Response]
"""How the metrics count a request, and the response."""


class _Service:
    def __init__(
        self,
        cache: SnapshotCache,
        tokens: Tokens | None,
        hold_s: float,
        on_answer: Count,
        monotonic: Callable[[], float],
    ) -> None:
        self._cache, self._hold_s, self._on_answer, self._monotonic = cache, hold_s, on_answer, monotonic
        self._callers = Callers(tokens, pause=self._pause, log=_LOG, monotonic=monotonic) if tokens else None
        self._nodes = Nodes()
        self._held = Counter[str]()

    def endpoint(self, kind: Kind, type_url: str) -> Callable[[Request], Any]:
        """The handler of one kind."""

        async def discover(request: Request) -> Response:
            address = request.client.host if request.client is not None else ""
            try:
                asked = await self._asked(request, address)
            except Unanswered as error:
                self._on_answer(kind, error.answer)
                return _problem(error.status, str(error))
            except ClientDisconnect:
                return Response(status_code=499)
            answer, response = await self._answer(kind, type_url, asked, address)
            self._on_answer(kind, answer)
            return response

        return discover

    async def _asked(self, request: Request, address: str) -> _DiscoveryRequest:
        """Raises Unanswered. Who asks is known before the body is read."""
        if self._callers is None:
            return _read(await _body(request))
        gateway = await self._callers.name(request.headers.get(TOKEN_HEADER, ""), address)
        asked = _read(await _body(request))
        await self._callers.require(gateway, asked.node, address)
        return asked

    async def _pause(self) -> None:
        await self._cache.wait(lambda: self._cache.closed, THROTTLE_HOLD_S)

    async def _answer(
        self, kind: Kind, type_url: str, asked: _DiscoveryRequest, address: str
    ) -> tuple[XdsAnswer, Response]:
        if self._held.total() >= MAX_HELD:
            return "crowded", _problem(503, f"this replica already holds {MAX_HELD} requests")
        if self._held[address] >= MAX_HELD_OF_ONE:
            return "crowded", _problem(503, f"this replica already holds {MAX_HELD_OF_ONE} requests of {address}")
        node = self._nodes.get(address, asked.node)
        self._held[address] += 1
        try:
            if not node.may_ask(self._monotonic()):
                await self._pause()
                return "crowded", _problem(429, f"{asked.node} sends too many requests")
            return await self._hold(kind, type_url, asked, node)
        finally:
            self._held -= Counter((address,))  # an address that holds none is forgotten

    async def _hold(
        self, kind: Kind, type_url: str, asked: _DiscoveryRequest, node: Node
    ) -> tuple[XdsAnswer, Response]:
        number = node.next_request(kind)

        def newer() -> EncodedUpdate | None:
            update = self._cache.get(kind)
            if update is None or update.order <= asked.has:
                return None
            return update if node.may_send(kind, update.version, self._monotonic(), empty=asked.empty) else None

        def over() -> bool:
            return self._cache.closed or node.latest[kind] != number or newer() is not None

        loading = not self._cache.loaded
        # Jitter, so that gateways that started together do not send their requests together for ever.
        await self._cache.wait(over, LOADING_HOLD_S if loading else self._hold_s * random.uniform(0.75, 1.0))
        update = newer()
        if node.latest[kind] == number and update is not None and not self._cache.closed:
            node.record_sent(kind, update.version, self._monotonic())
            return "new", _discovery(update, type_url)
        if not self._cache.loaded:
            return "loading", _problem(503, "this replica has not loaded a configuration yet")
        # After the connection is closed, the next request goes to another replica.
        return "same", Response(status_code=304, headers={"connection": "close"} if self._cache.closed else None)


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_REQUEST_BYTES:
            raise Unanswered(413, "unfit", f"the request is larger than {MAX_REQUEST_BYTES} bytes")
        parts.append(part)
    return b"".join(parts)


def _read(body: bytes) -> _DiscoveryRequest:
    try:
        document = orjson.loads(body)
        node, version = document["node"]["id"], document.get("version_info", "")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise Unanswered(400, "unfit", "not a discovery request: it needs node.id") from None
    if not isinstance(node, str) or not 0 < len(node) <= 253 or not isinstance(version, str):
        raise Unanswered(400, "unfit", "node.id must be a string of 1 to 253 characters, and version_info a string")
    return _DiscoveryRequest(node, order_of(version), not version)


def _discovery(update: EncodedUpdate, type_url: str) -> Response:
    head = orjson.dumps({"version_info": update.version, "type_url": type_url})[:-1]
    return Response(head + b',"resources":' + update.resources + b"}", media_type="application/json")


def _problem(status: int, detail: str) -> Response:
    body = {"type": "about:blank", "title": "xDS", "status": status, "detail": detail}
    return JSONResponse(body, status_code=status, media_type="application/problem+json")
