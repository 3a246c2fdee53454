"""The fast way: exact prediction paths go to their endpoint without FastAPI's routing in between."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.serving.http import exchange


class Front:
    """POST to one of `endpoints` goes there; everything else, and every other method, goes to `app`."""

    def __init__(self, app: exchange.App, endpoints: Mapping[str, exchange.App]) -> None:
        self._app = app
        self._endpoints = dict(endpoints)

    async def __call__(self, scope: exchange.Scope, receive: exchange.Receive, send: exchange.Send) -> None:
        """Pick by exact path."""
        if scope["type"] == "http" and scope["method"] == "POST":
            endpoint = self._endpoints.get(scope["path"])
            if endpoint is not None:
                await endpoint(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def off(self) -> None:
        """Send everything to `app` from now on."""
        self._endpoints = {}
