"""Shared state of the store's parts: the namespace, the API server, and the fence that allows writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from fairlead import errors
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import Kind, Object, version_of
from fairlead.store.kubernetes.objects import Objects

ATTEMPTS = 5
"""How often a write is retried after another writer changed the object. Usually only a user's edit interferes."""


class Fence(Protocol):
    """Checks that this process leads; implemented by `lease.Lease`."""

    def token(self) -> int:
        """The lease transition in which this process leads. Raises Conflict if it does not certainly lead."""
        ...


class Unfenced:
    """No fencing, for a command, which writes nothing that only the leader may write, and for tests."""

    def token(self) -> int:
        """0, which is below every lease transition and never blocks another writer."""
        return 0


def now_utc() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Session:
    """One namespace of one API server, and this process's right to write."""

    api: Api
    objects: Objects
    namespace: str
    fence: Fence
    clock: Callable[[], datetime] = now_utc

    def write_status(self, kind: Kind, name: str, change: Callable[[Object], Object]) -> None:
        """Replace an object's status with `change(status)`. Nothing is sent if it is equal.

        Raises Conflict if this process does not lead, a later leader has written already, or the object was deleted.
        """
        token = self.fence.token()
        found = self.objects.get(kind, name)
        for _ in range(ATTEMPTS):
            if found is None:
                raise errors.Conflict(f"{kind.kind} {name!r} was deleted")
            status = found.get("status") or {}
            self._check_fence(status, token)
            wanted = change(status)
            if _is_equal(wanted, status):
                return
            patch = difference(status, {**wanted, "fence": token} if token else wanted)
            body = {"metadata": {"resourceVersion": str(version_of(found))}, "status": patch}
            try:
                self.objects.note_written(kind, self.api.patch(kind, self.namespace, name, body, part="status"))
                return
            except errors.Conflict:
                found = self.refreshed(kind, name)
            except errors.NotFound:
                found = None
        raise errors.Conflict(f"other writers changed the status of {kind.kind} {name!r} {ATTEMPTS} times in a row")

    def refreshed(self, kind: Kind, name: str) -> Object | None:
        """The object read from the API server now, not from a cache; None if it does not exist."""
        try:
            found = kind.trim(self.api.get(kind, self.namespace, name))
        except errors.NotFound:
            self.objects.note_deleted(kind, name)
            return None
        self.objects.note_written(kind, found)
        return found

    def _check_fence(self, status: Object, token: int) -> None:
        theirs = int(status.get("fence") or 0)
        if theirs > token:
            raise errors.Conflict(f"another control plane leads: it wrote in transition {theirs}, ours is {token}")


def _is_equal(wanted: Object, status: Object) -> bool:
    """Whether both statuses are equal. Called for every route at every tick, so identical parts are not compared."""
    return all(
        wanted.get(key) is status.get(key) or without_nulls(wanted.get(key)) == without_nulls(status.get(key))
        for key in (wanted.keys() | status.keys()) - {"fence"}
    )


def without_nulls(value: object) -> object:
    """The same data without null fields: a null field and a missing one mean the same."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


def difference(old: Object, new: Object) -> Object:
    """The merge patch from `old` to `new`: changed fields, and null for removed ones."""
    patch: Object = {key: None for key in old if new.get(key) is None}
    for key, value in new.items():
        known = old.get(key)
        if value is None or value == known:
            continue
        patch[key] = difference(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return patch
