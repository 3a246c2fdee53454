"""Health over gRPC: who watches is bounded, because a watch has no end."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import grpc
import pytest
from grpc_health.v1 import health_pb2

from fairlead.serving.grpc import health
from fairlead.serving.inference.lifecycle import Lifecycle


class Aborted(Exception):
    """A call was refused."""


class Context:
    async def abort(self, code: grpc.StatusCode, _: str) -> NoReturn:
        raise Aborted(code.name)


def test_a_watch_beyond_the_limit_is_refused_until_another_one_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "WATCHERS", 1)
    served = health.Health(cast(Lifecycle, SimpleNamespace(is_ready=True)))

    async def watched() -> None:
        def watch() -> Any:
            return served.Watch(SimpleNamespace(service=""), Context())

        first = watch()
        assert (await anext(first)).status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(Aborted, match="RESOURCE_EXHAUSTED"):
            await anext(watch())
        await first.aclose()
        assert (await anext(watch())).status == health_pb2.HealthCheckResponse.SERVING

    asyncio.run(watched())
