"""Kubernetes events: one when a route goes down, when it serves again, and when a version is scaled. No I/O
here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fairlead.contracts.health import health_of
from fairlead.contracts.status import Reason, Status
from fairlead.store.kubernetes.kinds import ROUTES, Object

COMPONENT = "fairlead-control-plane"


def serving_event(status: Mapping[str, Any], old: Mapping[str, Any], route: Object, now: datetime) -> Object | None:
    """The event for a new status, written over an old one; None if the route serves, or does not, as before.

    `status` is the engine's document, `old` the status of the Kubernetes object `route`.
    """
    before = next((one for one in old.get("conditions") or () if one["type"] == "Ready"), None)
    ready = next((one for one in status.get("conditions") or () if one["type"] == "Ready"), None)
    if before is None or ready is None or (before["status"] == "True") == bool(ready["status"]):
        return None
    health = health_of(Status.model_validate(status))
    if health.is_down:
        text = f"{health.reason}; try: {health.command}" if health.command else health.reason
        return _event(route, now, "Warning", "Down", text)
    if not health.serves:
        return None  # it starts from nothing: nobody was served before
    again = "" if before.get("reason") == Reason.NOTHING_RELEASED else f" again; it was down since {_since(before)}"
    return _event(route, now, "Normal", "Serving", f"{ready['message']}{again}")


def scaled_event(route: Object, now: datetime, text: str, *, rises: bool) -> Object:
    """The event for a version whose number of pods the control plane has written."""
    return _event(route, now, "Normal", "ScaledUp" if rises else "ScaledDown", text)


def _event(route: Object, now: datetime, kind: str, reason: str, message: str) -> Object:
    metadata, at = route["metadata"], now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {"apiVersion": ROUTES.api_version, "kind": ROUTES.kind}
    about |= {key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion") if key in metadata}
    return {
        "metadata": {"generateName": f"{metadata['name']}-"},
        "involvedObject": about,
        "type": kind,
        "reason": reason,
        "message": message,
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": "",
        "action": reason,
    }


def _since(condition: Mapping[str, Any]) -> str:
    return str(condition.get("lastTransitionTime") or "an unknown time")
