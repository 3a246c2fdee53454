"""The store's read access to objects: an interface, and the implementation that reads from the API server.

The other implementation, `informer.CachedObjects`, reads from memory.
"""

from __future__ import annotations

from typing import Protocol

from fairlead import errors
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import WATCHED, Kind, Object, name_of, version_of


class Objects(Protocol):
    """One namespace's objects."""

    def list(self, kind: Kind) -> tuple[Object, ...]:
        """All of a kind, by name; the same tuple as before if nothing changed. Raises NotReady or Unavailable."""
        ...

    def get(self, kind: Kind, name: str) -> Object | None:
        """One object, or None."""
        ...

    def note_written(self, kind: Kind, found: Object) -> None:
        """Record the object that one of our own writes returned, so that the writer can read it at once."""
        ...

    def note_deleted(self, kind: Kind, name: str) -> None:
        """Record that we deleted the object of that name."""
        ...

    def token(self) -> object:
        """A token that differs after every change."""
        ...


class DirectObjects:
    """Every read is a request to the API server: for a command, which reads two or three times."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._namespace = namespace

    def list(self, kind: Kind) -> tuple[Object, ...]:
        """See `Objects.list`."""
        return tuple(sorted(self._api.list(kind, self._namespace)[0], key=name_of))

    def get(self, kind: Kind, name: str) -> Object | None:
        """See `Objects.get`."""
        try:
            return kind.trim(self._api.get(kind, self._namespace, name))
        except errors.NotFound:
            return None

    def note_written(self, kind: Kind, found: Object) -> None:
        """Does nothing: there is no cache."""

    def note_deleted(self, kind: Kind, name: str) -> None:
        """Does nothing: there is no cache."""

    def token(self) -> object:
        """The versions of all objects. Expensive; only for commands that watch without informers."""
        return tuple((kind.plural, name_of(one), version_of(one)) for kind in WATCHED for one in self.list(kind))
