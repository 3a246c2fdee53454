"""The index of the model repository, as clients of Triton ask for it: every version that a gateway may serve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from fastapi import APIRouter, Request

from fairlead.contracts.access import MODELS_HEADER
from fairlead.contracts.gateway import pin_name
from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route, UnreadableRoute, VersionRef
from fairlead.contracts.table import Table


class RepositoryStore(Protocol):
    """The part of the store that the index is made from."""

    def routes(self) -> list[Route]: ...  # noqa: D102
    def unreadable_routes(self) -> list[UnreadableRoute]: ...  # noqa: D102
    def head(self, route: str) -> Revision | None: ...  # noqa: D102
    def instances(self) -> list[Instance]: ...  # noqa: D102


def router(store: RepositoryStore) -> APIRouter:
    """A router with the one path."""
    routes = APIRouter()

    @routes.post("/v2/repository/index")
    def index(request: Request) -> list[dict[str, Any]]:
        """Every version of every model, and whether it has a ready instance, in the form of Triton's index."""
        return [one for one in entries(store) if may_see(request, one["name"])]

    return routes


def may_see(request: Request, model: str) -> bool:
    """Whether the client that the gateway asks for may call this model. A request that says nothing sees all."""
    told = request.headers.get(MODELS_HEADER)
    return told is None or model in told.split(",")


def entries(store: RepositoryStore) -> list[dict[str, Any]]:
    """One entry per version that the last revision of a route serves or can pin."""
    instances = store.instances()
    names = [*(route.name for route in store.routes()), *(one.name for one in store.unreadable_routes())]
    heads = [head for name in names if (head := store.head(name)) is not None]
    return [_entry(head.table, ref, instances) for head in heads for ref in head.table.pins]


def _entry(table: Table, ref: VersionRef, instances: Sequence[Instance]) -> dict[str, Any]:
    key = (table.namespace, table.model, ref)
    own = [one for one in instances if (one.namespace, one.model, one.ref) == key]
    return {"name": table.model, "version": pin_name(table, ref), **_state(own)}


def _state(instances: Sequence[Instance]) -> dict[str, str]:
    if any(one.ready for one in instances):
        return {"state": "READY", "reason": ""}
    reasons = [one.reason for one in instances if one.reason]
    return {"state": "UNAVAILABLE", "reason": reasons[0] if reasons else "no instance is ready"}
