"""Refuses requests for other hosts than loopback's own: a web page must not read the API under its own site's name."""

from __future__ import annotations

from collections.abc import Collection

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class OnlyHosts:
    """ASGI middleware: 421 for a request whose `Host`, without its port, is not one of `hosts` (`*` and `*.name` too).

    The gateway's requests have the `Host` of its client, so these are the hosts that the gateway answers for: as in
    Envoy, `*.name` stands for every name below `name`, and not for `name` itself.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._all = "*" in hosts
        self._names = frozenset(hosts)
        self._suffixes = tuple(host[1:] for host in hosts if host.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http" or self._all or self._knows(dict(scope["headers"]).get(b"host", b"")):
            await self._app(scope, receive, send)
            return
        detail = f"this API answers for {', '.join(sorted(self._names))}; to add a host, list it in gateway.hosts"
        body = {"type": "about:blank", "title": "Misdirected Request", "status": 421, "detail": detail, "error": detail}
        await JSONResponse(body, status_code=421)(scope, receive, send)

    def _knows(self, header: bytes) -> bool:
        host = header.decode("latin-1").lower()
        if not host.endswith("]"):
            host = host.rpartition(":")[0] or host
        return host in self._names or any(host.endswith(suffix) and host != suffix for suffix in self._suffixes)
