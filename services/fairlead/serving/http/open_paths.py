"""What the port without TLS still answers beside one with TLS: probes and metrics.

A probe of the kubelet and Prometheus have no certificate. So they keep the port without TLS, and the other port can ask
every client for one. Each port has an application of its own, so no request pays for the difference.
"""

from __future__ import annotations

import random

from fairlead.contracts.drift_telemetry import DRIFT_PATH
from fairlead.contracts.gateway import READY_PATH
from fairlead.serving import problems
from fairlead.serving.http import exchange

OPEN_PATHS = frozenset(
    {"/livez", "/startupz", READY_PATH, "/metrics", DRIFT_PATH, "/v2/health/live", "/v2/health/ready"}
)
"""What needs no certificate: it says how the service is, and nothing about rows and answers."""


class OnlyOpenPaths:
    """ASGI application: passes on requests for OPEN_PATHS, and refuses all others.

    A refused request is in no metric and no evidence, because it reached no model.
    """

    def __init__(self, app: exchange.App, identity: list[tuple[bytes, bytes]]) -> None:
        """`identity` is the headers that every response has."""
        self._app = app
        self.identity = identity

    async def __call__(self, scope: exchange.Scope, receive: exchange.Receive, send: exchange.Send) -> None:
        """Answer a request, or refuse it with 403."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        detail = f"this port answers {', '.join(sorted(OPEN_PATHS))}; everything else is answered with TLS at another"
        problem = problems.Problem(403, "needs-tls", detail, headers=((b"connection", b"close"),))
        body = problem.body(f"{random.getrandbits(128):032x}")
        head = problem.head(body, problems.content_type(scope["path"]))
        await send({**head, "headers": [*head["headers"], *self.identity]})
        await send({"type": "http.response.body", "body": body})
