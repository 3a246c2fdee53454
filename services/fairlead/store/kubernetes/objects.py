"""Where the store reads objects from: straight from the API server, or from what informers keep up to date."""

from __future__ import annotations

from typing import Protocol

from fairlead import errors
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import WATCHED, Kind, Object, name_of, version_of


class Objects(Protocol):
    """One namespace's objects."""

    def list(self, kind: Kind) -> tuple[Object, ...]:
        """All of a kind, by name. The same tuple as before means that nothing changed. Raises NotReady, Unavailable."""
        ...

    def get(self, kind: Kind, name: str) -> Object | None:
        """One of them."""
        ...

    def learn(self, kind: Kind, found: Object) -> None:
        """What a write of our own returned: who writes reads it at once."""
        ...

    def forget(self, kind: Kind, name: str) -> None:
        """An object of that name was deleted by us."""
        ...

    def token(self) -> object:
        """Differs whenever something changed."""
        ...


class Direct:
    """Every question is a request: for a command, which asks two or three."""

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

    def learn(self, kind: Kind, found: Object) -> None:
        """Nothing is kept."""

    def forget(self, kind: Kind, name: str) -> None:
        """Nothing is kept."""

    def token(self) -> object:
        """Made of every object's version; not cheap, and only for whoever watches without informers."""
        return tuple((kind.plural, name_of(one), version_of(one)) for kind in WATCHED for one in self.list(kind))
