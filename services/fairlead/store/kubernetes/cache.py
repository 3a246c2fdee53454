"""In-memory cache of one kind's objects. Lists, watch events and our own writes feed it; the newest version wins."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from fairlead import errors
from fairlead.store.kubernetes.kinds import Kind, Object, name_of, version_of


class Cache:
    """Calls `changed`, outside the lock, after every change."""

    def __init__(self, kind: Kind, changed: Callable[[], None]) -> None:
        self.kind = kind
        self._changed = changed
        self._lock = threading.Lock()
        self._objects: dict[str, Object] = {}
        self._dropped: dict[str, int] = {}
        self._snapshot: tuple[Object, ...] | None = None
        self._loaded = False

    @property
    def loaded(self) -> bool:
        """Whether a list has succeeded. It stays true during a later outage of the API server."""
        return self._loaded

    def list(self) -> tuple[Object, ...]:
        """All objects, by name. Raises NotReady before the first list, when an empty result could be wrong."""
        with self._lock:
            if not self._loaded:
                raise errors.NotReady(f"the {self.kind.plural} have not been listed yet")
            if self._snapshot is None:
                self._snapshot = tuple(self._objects[name] for name in sorted(self._objects))
            return self._snapshot

    def get(self, name: str) -> Object | None:
        """One object. Raises NotReady."""
        with self._lock:
            if not self._loaded:
                raise errors.NotReady(f"the {self.kind.plural} have not been listed yet")
            return self._objects.get(name)

    def replace(self, found: Iterable[Object], version: int) -> None:
        """Set the result of a list made at this version. Objects that are newer than the list stay."""
        listed = {name_of(one): one for one in found}
        with self._lock:
            before = self._objects
            kept = {name: one for name, one in before.items() if version_of(one) > version}
            after = {
                name: one for name, one in (listed | kept).items() if self._dropped.get(name, -1) < version_of(one)
            }
            # An unchanged object stays the same Python object, so that results cached by identity stay valid.
            self._objects = {
                name: before[name] if name in before and version_of(before[name]) >= version_of(one) else one
                for name, one in after.items()
            }
            self._dropped = {name: at for name, at in self._dropped.items() if at > version}
            differs = not self._loaded or _versions(before) != _versions(self._objects)
            self._loaded = True
            self._snapshot = None if differs else self._snapshot
        if differs:
            self._changed()

    def put(self, found: Object) -> None:
        """Set one object, unless the cache has a newer one or knows that it was deleted later."""
        name, version = name_of(found), version_of(found)
        with self._lock:
            known = self._objects.get(name)
            if self._dropped.get(name, -1) >= version or (known is not None and version_of(known) >= version):
                return
            self._objects[name] = found
            self._dropped.pop(name, None)
            self._snapshot = None
        self._changed()

    def drop(self, name: str, version: int | None = None) -> None:
        """Remove a deleted object: deleted at this version, or by this process (None)."""
        with self._lock:
            known = self._objects.get(name)
            if known is None or (version is not None and version_of(known) > version):
                return
            # A late event from before the deletion must not bring the object back.
            self._dropped[name] = version_of(known) if version is None else version
            del self._objects[name]
            self._snapshot = None
        self._changed()


def _versions(objects: dict[str, Object]) -> dict[str, int]:
    return {name: version_of(one) for name, one in objects.items()}
