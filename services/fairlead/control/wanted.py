"""How many instances the rollout wants of a version, for an autoscaler: what the leader wrote into the route's status.

So every replica gives the same answer, also while no replica leads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from fastapi import APIRouter, Request

from fairlead import errors
from fairlead.contracts.route import Route, UnreadableRoute
from fairlead.store.statuses import StatusReader, read_status


class WantedStore(StatusReader, Protocol):
    """The part of the store that the numbers are read from."""

    def routes(self) -> list[Route]: ...  # noqa: D102
    def unreadable_routes(self) -> list[UnreadableRoute]: ...  # noqa: D102


def router(store: WantedStore, explanation: Callable[[Request], dict[str, Any] | None]) -> APIRouter:
    """A router with the one path, and the one that it had before.

    `explanation` answers what the gateway forwards: such a request asks which version would get it, and nothing else.
    """
    routes = APIRouter()

    @routes.get("/models/{model}/versions/{version}/wanted")
    @routes.get("/api/v1/wanted/{model}/{version}", include_in_schema=False)
    def wanted(request: Request, model: str, version: str) -> dict[str, Any]:
        """How many instances a version should have at least, and why; `version` is its name or its identity.

        404 for a version that the model does not have, 503 for one that the control plane has not looked at yet.
        """
        return explanation(request) or wanted_of(store, model, version)

    return routes


def wanted_of(store: WantedStore, model: str, version: str) -> dict[str, Any]:
    """The document. Raises NotFound, and NotReady where the leader has written no number yet."""
    routes = [route for route in store.routes() if route.spec.model == model]
    statuses = [read_status(store, route.name) for route in routes]
    entries = [one for status in statuses if status is not None for one in status.wanted]
    found = [one for one in entries if version in (one.ref.version, one.ref.identity)]
    if found:
        # Two images may share a version name: a query by name then gets the higher number, enough for either.
        most = max(found, key=lambda one: one.instances)
        return {"model": model, **most.ref.to_json(), "wanted": most.instances, "reason": most.reason}
    refs = [spec.ref(name) for route in routes for name, spec in route.spec.versions.items()]
    if any(version in (ref.version, ref.identity) for ref in refs):
        raise errors.NotReady(f"the control plane has not decided yet how many instances {model} {version} needs")
    if broken := next((one for one in store.unreadable_routes() if model == one.name), None):
        raise errors.NotReady(f"{broken.message}; so nobody knows how many instances {model} {version} needs")
    if not routes:
        raise errors.NotFound(f"there is no model {model!r}", hint="GET /models lists the models")
    known = ", ".join(sorted({ref.version for ref in refs}))
    raise errors.NotFound(f"model {model!r} has no version {version!r}; it has: {known}")
