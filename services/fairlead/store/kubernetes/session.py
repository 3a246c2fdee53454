"""What the parts of the store share: one namespace of one API server, and whether this process may write."""

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
"""How often a write is tried anew on what somebody else wrote meanwhile. Nobody but a user's edit gets between."""


class Fence(Protocol):
    """Says whether this process leads; `lease.Lease` does."""

    def token(self) -> int:
        """The lease transition it leads in. Raises Conflict when it does not lead, or no longer surely."""
        ...


class Unfenced:
    """For whoever writes nothing that a leader writes: a command, or a single control plane under test."""

    def token(self) -> int:
        """No lease is as low as this, so it never fences anybody else out."""
        return 0


def now_utc() -> datetime:
    """The clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Session:
    """One namespace, and who we are in it."""

    api: Api
    objects: Objects
    namespace: str
    fence: Fence
    clock: Callable[[], datetime] = now_utc

    def write_status(self, kind: Kind, name: str, change: Callable[[Object], Object]) -> None:
        """Make an object's status what `change` makes of it, as its only writer. Nothing is sent when that is equal.

        Raises Conflict when this process does not lead, a later leader wrote already, or the object is gone.
        """
        token = self.fence.token()
        found = self.objects.get(kind, name)
        for _ in range(ATTEMPTS):
            if found is None:
                raise errors.Conflict(f"{kind.kind} {name!r} is gone")
            status = found.get("status") or {}
            self._check_fence(status, token)
            wanted = change(status)
            if _says_the_same(wanted, status):
                return
            patch = difference(status, {**wanted, "fence": token} if token else wanted)
            body = {"metadata": {"resourceVersion": str(version_of(found))}, "status": patch}
            try:
                self.objects.learn(kind, self.api.patch(kind, self.namespace, name, body, part="status"))
                return
            except errors.Conflict:
                found = self.refreshed(kind, name)
            except errors.NotFound:
                found = None
        raise errors.Conflict(f"the status of {kind.kind} {name!r} was changed by others {ATTEMPTS} times in a row")

    def refreshed(self, kind: Kind, name: str) -> Object | None:
        """An object as the API server has it this moment."""
        try:
            found = kind.trim(self.api.get(kind, self.namespace, name))
        except errors.NotFound:
            self.objects.forget(kind, name)
            return None
        self.objects.learn(kind, found)
        return found

    def _check_fence(self, status: Object, token: int) -> None:
        theirs = int(status.get("fence") or 0)
        if theirs > token:
            raise errors.Conflict(f"another control plane leads: it wrote in transition {theirs}, ours is {token}")


def _says_the_same(wanted: Object, status: Object) -> bool:
    """Asked of every route at every tick: what is the very object that was there is not looked through."""
    return all(
        wanted.get(key) is status.get(key) or without_nothing(wanted.get(key)) == without_nothing(status.get(key))
        for key in (wanted.keys() | status.keys()) - {"fence"}
    )


def without_nothing(value: object) -> object:
    """The same data without fields that are null: stored or not, they say the same."""
    if isinstance(value, dict):
        return {key: without_nothing(inner) for key, inner in value.items() if inner is not None}
    return [without_nothing(inner) for inner in value] if isinstance(value, list) else value


def difference(old: Object, new: Object) -> Object:
    """The merge patch that makes `new` of `old`: what differs, and null for what goes."""
    patch: Object = {key: None for key in old if new.get(key) is None}
    for key, value in new.items():
        known = old.get(key)
        if value is None or value == known:
            continue
        patch[key] = difference(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return patch
