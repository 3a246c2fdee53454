"""grpc.health.v1: whether the service is ready, as /readyz says it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from fairlead.serving.grpc.definitions import SERVICE
from fairlead.serving.inference.lifecycle import Lifecycle

NAMES = ("", SERVICE)
"""What may be asked for: the server, and the service of the protocol. Both are ready at the same time."""
WATCH_S = 0.25
"""How often a client that watches may be told of a change."""
WATCHERS = 256
"""How many clients may watch at a time. A watch has no end, and takes a call's place for as long."""
_Response = health_pb2.HealthCheckResponse


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Answers from the phase of the service."""

    def __init__(self, state: Lifecycle) -> None:
        self._state = state
        self._watchers = 0

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802, the name of the protocol
        """The status now."""
        if request.service not in NAMES:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no service {request.service[:200]!r} here")
        return self._now(request.service)

    async def List(self, _: Any, __: Any) -> Any:  # noqa: N802
        """The status of all."""
        return health_pb2.HealthListResponse(statuses={name: self._now(name) for name in NAMES})

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        """The status now, and again whenever it changes."""
        if self._watchers >= WATCHERS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{WATCHERS} clients watch already; use Check")
        self._watchers += 1
        last = None
        try:
            while True:
                found = self._now(request.service)
                if found != last:
                    last = found
                    yield found
                await asyncio.sleep(WATCH_S)
        finally:
            self._watchers -= 1

    def _now(self, service: str) -> Any:
        if service not in NAMES:
            return _Response(status=_Response.SERVICE_UNKNOWN)
        return _Response(status=_Response.SERVING if self._state.is_ready else _Response.NOT_SERVING)
