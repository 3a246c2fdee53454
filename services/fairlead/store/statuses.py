"""Reads the status document of a route. Every view uses this, so that all of them understand the same documents."""

from __future__ import annotations

from typing import Protocol

from fairlead.contracts.status import Status
from fairlead.store import forward_compatibility


class StatusReader(Protocol):
    """The part of the store that views read statuses from."""

    def status(self, route: str) -> dict[str, object] | None: ...  # noqa: D102


def read_status(store: StatusReader, route: str) -> Status | None:
    """The last status; None until the control plane has written one. Raises Invalid if it cannot be read.

    A newer control plane may write fields that this process does not know: they are ignored.
    """
    written = store.status(route)
    return forward_compatibility.read(Status, written, f"the status of route {route!r}") if written else None
