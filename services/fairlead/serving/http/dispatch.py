"""`Dispatcher`: sends requests for exact prediction paths directly to their endpoint, without FastAPI's routing."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.serving.http import exchange
from fairlead.serving.http.endpoint import Endpoint


class Dispatcher:
    """Passes a POST to one of the paths in `endpoints` to that endpoint, and every other request to `app`."""

    def __init__(self, app: exchange.App, endpoints: Mapping[str, Endpoint]) -> None:
        self._app = app
        self._endpoints = dict(endpoints)

    async def __call__(self, scope: exchange.Scope, receive: exchange.Receive, send: exchange.Send) -> None:
        """Pass the request to its endpoint or to `app`; HEAD as GET, whose body the server leaves out."""
        target = self.endpoint(scope) or self._app
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await target(scope, receive, send)

    def endpoint(self, scope: exchange.Scope) -> Endpoint | None:
        """The endpoint for this request; None if it is not a prediction."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return None
        return self._endpoints.get(scope["path"])

    def disable(self) -> None:
        """Pass all requests to `app` from now on."""
        self._endpoints = {}
