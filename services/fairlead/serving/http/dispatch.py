"""The fast way: exact prediction paths go to their endpoint without FastAPI's routing in between."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.serving.http import exchange
from fairlead.serving.http.endpoint import Endpoint


class Dispatcher:
    """POST to one of `endpoints` goes there; everything else, and every other method, goes to `app`."""

    def __init__(self, app: exchange.App, endpoints: Mapping[str, Endpoint]) -> None:
        self._app = app
        self._endpoints = dict(endpoints)

    async def __call__(self, scope: exchange.Scope, receive: exchange.Receive, send: exchange.Send) -> None:
        """Pick by exact path."""
        target = self.endpoint(scope) or self._app
        await target(scope, receive, send)

    def endpoint(self, scope: exchange.Scope) -> Endpoint | None:
        """The endpoint that answers this request, if it is a prediction."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return None
        return self._endpoints.get(scope["path"])

    def disable(self) -> None:
        """Send everything to `app` from now on."""
        self._endpoints = {}
