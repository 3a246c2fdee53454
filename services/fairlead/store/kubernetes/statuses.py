"""Route statuses as Kubernetes statuses: conditions get transition times, and "True" instead of true."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from fairlead import errors
from fairlead.store.kubernetes.events import serving_event
from fairlead.store.kubernetes.kinds import EVENTS, LEADERS, LEASES, ROUTES, Object
from fairlead.store.kubernetes.windows import KubernetesWindows

_ELSEWHERE = ("analysis", "checkpoint", "fence")
"""Parts of the object's status that are not part of the engine's document."""


class KubernetesStatuses(KubernetesWindows):
    """`store.base.StatusStore`. A status and the windows that are waiting for it are written in one request."""

    def set_status(self, route: str, status: dict[str, object], *, namespace: str | None = None) -> None:
        """Replace a route's status document. Nothing is written if it is the same, or if the route was deleted."""
        if namespace not in (None, self._session.namespace) or self._session.objects.get(ROUTES, route) is None:
            return
        head = self._head_seq(route)
        windows = self._waiting(route, head)

        before: list[Object] = [{}]

        def replaced(old: Object) -> Object:
            before[0] = old
            kept = {name: old[name] for name in ("checkpoint",) if name in old}
            counted = self._analysis(route, old, head, windows)
            return {**status, **self._conditions(status, old), **kept, **counted}

        self._session.write_status(ROUTES, route, replaced)
        self._pending.pop(route, None)
        self._record_event(route, status, before[0])

    def status(self, route: str) -> dict[str, object] | None:
        """The last status document."""
        found = self._session.objects.get(ROUTES, route)
        written = {name: value for name, value in ((found or {}).get("status") or {}).items() if name not in _ELSEWHERE}
        if "conditions" in written:
            written["conditions"] = [_plain(one) for one in written["conditions"]]
        return written or None

    def last_beat(self) -> datetime | None:
        """When the leader last renewed its Lease. None without a Lease, or for a user who may not read it."""
        try:
            leases, _ = self._session.api.list(LEASES, self._session.namespace, LEADERS)
        except (errors.Refused, errors.NotFound):
            return None
        times = [str(renewed) for one in leases if (renewed := (one.get("spec") or {}).get("renewTime"))]
        return max((datetime.fromisoformat(one) for one in times), default=None)

    def _record_event(self, route: str, status: dict[str, object], old: Object) -> None:
        """Record an event when the route goes down and when it serves again. A lost event is not repeated."""
        found = self._session.objects.get(ROUTES, route)
        event = serving_event(status, old, found, self._session.clock()) if found is not None else None
        if event is None:
            return
        with suppress(errors.FairleadError):  # the status says the same, and an event must not stop a rollback
            self._session.api.create(EVENTS, self._session.namespace, event)

    def _conditions(self, status: dict[str, object], old: Object) -> dict[str, Any]:
        if "conditions" not in status:
            return {}
        conditions = status["conditions"]
        if not isinstance(conditions, list):
            raise errors.Invalid("conditions must be a list")
        before = {one["type"]: one for one in old.get("conditions") or ()}
        return {"conditions": [self._condition(one, before.get(one["type"]), status) for one in conditions]}

    def _condition(
        self, one: dict[str, Any], before: dict[str, Any] | None, status: dict[str, object]
    ) -> dict[str, Any]:
        """A Kubernetes condition. `lastTransitionTime` changes only when the status changes, not with the message."""
        value = "True" if one["status"] else "False"
        now = self._session.clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        since = before["lastTransitionTime"] if before and before.get("status") == value else now
        fields = {"type": one["type"], "status": value, "reason": one["reason"], "message": one.get("message", "")}
        generation = status.get("observedGeneration")
        return {**fields, "lastTransitionTime": since} | ({"observedGeneration": generation} if generation else {})


def _plain(one: dict[str, Any]) -> dict[str, Any]:
    """A condition in the form of `contracts.status`."""
    fields = {name: one.get(name, "") for name in ("type", "reason", "message")}
    return {**fields, "status": one.get("status") == "True", "since": one.get("lastTransitionTime")}
