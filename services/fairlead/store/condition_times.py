"""Since when a condition has its status: the store keeps the time while the status does not change. No I/O here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def with_times(status: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    """The status document with the times that its conditions have in the document before it."""
    known = {one["type"]: one for one in (before or {}).get("conditions") or ()}
    if not known or not status.get("conditions"):
        return dict(status)
    return {**status, "conditions": [_kept(one, known.get(one["type"])) for one in status["conditions"]]}


def _kept(one: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    same = before is not None and before.get("status") == one.get("status") and before.get("since")
    return {**one, "since": before["since"]} if same and before else dict(one)
